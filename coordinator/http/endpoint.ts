/**
 * What one endpoint of the data API is. Each stands in its own file under `routes/data/`; the
 * server gives it a checked body, a deadline and a writer for its result.
 */
import Type, { type Static, type TSchema } from 'typebox';
import type { Deadline } from '../../shared/base/deadline.ts';
import type { Permission } from '../../shared/domain/permissions.ts';
import type { Once } from '../../shared/protocol/once.ts';
import type { Principal } from '../auth/principal.ts';
import type { Account } from '../control-plane/account.ts';
import type { AuditTrail } from '../control-plane/audit-trail.ts';
import type { OwnBilling } from '../control-plane/billing/own-billing.ts';
import type { CensusAdmin } from '../control-plane/census.ts';
import type { NoticeAdmin } from '../control-plane/notices.ts';
import type { Usage } from '../control-plane/usage.ts';
import type { WebhookAdmin } from '../control-plane/webhooks.ts';
import type { DataPlane } from '../data-plane/data-plane.ts';
import type { JsonWriter } from '../data-plane/json-writer.ts';
import type { Payer } from '../limits/tally.ts';
import { closedObject, formedText } from './validation.ts';

/** What a client's requests can do. */
export type Plane = Pick<DataPlane, 'collections' | 'queries' | 'writes' | 'clusterInfo'> & {
  account: Account;
  usage: Pick<Usage, 'report'>;
  auditTrail: Pick<AuditTrail, 'list' | 'export' | 'publicKey'>;
  billing: OwnBilling;
  census: Pick<CensusAdmin, 'latestOf'>;
  notices: Pick<NoticeAdmin, 'recipients' | 'setRecipients' | 'test'>;
  webhooks: WebhookAdmin;
};

export interface Call<Body = unknown> {
  owner: Principal & Payer;
  /** The parts of the path, decoded; a part that the path does not have is ''. */
  collection: string;
  id: string;
  fieldName: string;
  /** The query string, checked. */
  query: Readonly<Record<string, string>>;
  body: Body;
  /** Of a request whose answer shows a secret. */
  idempotencyKey: string | undefined;
  /** Of a write of points that has an `Idempotency-Key`: see `WriteCall`. */
  once: (() => Promise<Once>) | undefined;
  deadline: Deadline;
  /** Gets the JSON text of `result`. */
  out: JsonWriter;
  /** Whether a table is wanted as CSV, where there is one. */
  wantsCsv: boolean;
  /** Sends lines as they come, of JSON unless said, in place of the envelope. */
  sendLines: (lines: Lines, type?: string) => void;
}

export type Lines = AsyncIterable<string> | readonly string[];

/** Reads end after the shorter query timeout when the request does not say otherwise. */
export type EndpointKind = 'read' | 'write';

export interface Endpoint {
  method: 'GET' | 'PUT' | 'POST' | 'PATCH' | 'DELETE';
  url: string;
  kind: EndpointKind;
  needs: Permission;
  /** Whether it deletes and does nothing else: a client whose writes are paused may still do that. */
  frees?: boolean;
  /** When it is less than that of the server. */
  bodyBytesMax?: number;
  /** Whether its answer holds the secret of a key. */
  showsSecret?: boolean;
  /** A field of the body that is mostly an array of numbers: it comes as a `Float32Array` then. */
  floatsField?: string;
  schema: { body?: TSchema; querystring: TSchema };
  run(plane: Plane, call: Call): Promise<void> | void;
}

/** `run` sees the body as the schema says it is. */
export function endpoint<Body extends TSchema>(
  spec: Pick<
    Endpoint,
    'method' | 'url' | 'kind' | 'needs' | 'frees' | 'floatsField' | 'showsSecret' | 'bodyBytesMax'
  > & {
    body: Body;
    run(plane: Plane, call: Call<Static<Body>>): Promise<void> | void;
  },
): Endpoint {
  const { body, run, ...rest } = spec;
  const schema = { body, querystring: QUERY_STRINGS[spec.kind] };
  return { ...rest, schema, run: (plane, call) => run(plane, call as Call<Static<Body>>) };
}

export function bodylessEndpoint(
  spec: Pick<Endpoint, 'method' | 'url' | 'kind' | 'needs' | 'frees' | 'run'> & { query?: TSchema },
): Endpoint {
  const { query, ...rest } = spec;
  return { ...rest, schema: { querystring: query ?? QUERY_STRINGS[spec.kind] } };
}

/** Seconds; `readTimeoutMs` checks the range. */
const Timeout = formedText('^[1-9][0-9]{0,8}$', 'a whole number of seconds from 1 on');

/**
 * A copy that is read from has every acknowledged write, and each shard has one order of writes, so
 * every ordering and consistency that a client can ask for is given.
 */
const QUERY_STRINGS = {
  read: closedObject({
    timeout: Timeout,
    consistency: formedText(
      '^(?:majority|quorum|all|[1-9][0-9]{0,8})$',
      'majority, quorum, all, or a whole number from 1 on',
    ),
  }),
  write: closedObject({
    timeout: Timeout,
    wait: Type.Optional(Type.Enum(['true', 'false'])),
    ordering: Type.Optional(Type.Enum(['weak', 'medium', 'strong'])),
  }),
} as const;

/** The timeout that the query string names, in milliseconds. */
export function requestedTimeoutMs(query: unknown): number | undefined {
  const { timeout } = query as { timeout?: string };
  return timeout === undefined ? undefined : Number(timeout) * 1_000;
}
