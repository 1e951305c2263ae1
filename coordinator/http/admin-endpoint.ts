/**
 * What one endpoint of the admin API is. The tables of them stand in `routes/admin/`, one file a
 * thing; the server, the OpenAPI document and the documentation are made from them.
 */
import type { Readable } from 'node:stream';
import Type, { type Static, type TSchema } from 'typebox';
import type { AuditAdmin } from '../control-plane/audit.ts';
import type { AuditTrail } from '../control-plane/audit-trail.ts';
import type { BillingAdmin } from '../control-plane/billing/billing-admin.ts';
import type { CensusAdmin } from '../control-plane/census.ts';
import type { ClientAdmin } from '../control-plane/clients.ts';
import type { CollectionAdmin } from '../control-plane/collections.ts';
import type { KeyAdmin } from '../control-plane/keys.ts';
import type { NoticeAdmin } from '../control-plane/notices.ts';
import type { PlanAdmin } from '../control-plane/plans.ts';
import type { ReplicaAdmin } from '../control-plane/replicas.ts';
import type { Usage } from '../control-plane/usage.ts';
import type { WebhookAdmin } from '../control-plane/webhooks.ts';
import type { WorkerAdmin } from '../control-plane/workers.ts';
import type { Origin } from '../store/admin-audit.ts';
import { closedObject } from './validation.ts';

/** What operators work on. */
export interface ControlPlane {
  clients: ClientAdmin;
  collections: CollectionAdmin;
  keys: KeyAdmin;
  plans: PlanAdmin;
  audit: AuditAdmin;
  workers: WorkerAdmin;
  replicas: ReplicaAdmin;
  notices: NoticeAdmin;
  webhooks: WebhookAdmin;
  usage: Pick<Usage, 'report'>;
  auditTrail: Pick<AuditTrail, 'exportPart' | 'publicKey'>;
  billing: BillingAdmin;
  census: Pick<CensusAdmin, 'list' | 'take' | 'show' | 'archive' | 'ofClient' | 'publicKey'>;
}

export interface AdminCall<Params = unknown, Query = unknown, Body = unknown> {
  params: Params;
  query: Query;
  body: Body;
  origin: Origin;
  /** The version in `If-Match`; absent: whatever it is. */
  ifVersion: number | 'any' | undefined;
  /** `If-None-Match: *`: it must not be there. */
  ifAbsent: boolean;
}

export interface AdminEndpoint {
  /** Its `operationId`. */
  name: string;
  /** What it does, in a few words. */
  help: string;
  method: 'GET' | 'PUT' | 'POST' | 'PATCH' | 'DELETE';
  url: string;
  /** When it is done. */
  status: 200 | 201;
  schema: { params: TSchema; querystring: TSchema; body?: TSchema };
  /** Whether repeating it makes another one: it takes an `Idempotency-Key`. */
  creates: boolean;
  /** What its body has to be beyond its schema, which leaves a part to a parser of its own. */
  bodyDescription?: TSchema;
  /** What it answers. One that has a `version` is sent with it as `ETag`. */
  reply: TSchema;
  /** The same as a table, when that is wanted: by `format` in its query string, or `Accept`. */
  csv?: (answer: never) => string;
  /** It sends a file of that media type in place of JSON: `run` answers a `FileReply`. */
  fileType?: string;
  /** What has to be waited for before it runs in one transaction; throws what refuses the request. */
  check?(plane: ControlPlane, call: AdminCall): Promise<void>;
  run(plane: ControlPlane, call: AdminCall): object | Promise<object>;
}

/** A file on its way. */
export interface FileReply {
  /** Without folders. */
  file: string;
  bytes: number;
  stream: Readable;
}

/** The names in `/clients/:client/keys/:key`. */
type ParamsOf<Url extends string> = Url extends `${string}:${infer Name}/${infer Rest}`
  ? { [Key in Name]: string } & ParamsOf<Rest>
  : Url extends `${string}:${infer Name}`
    ? { [Key in Name]: string }
    : unknown;

type Spec<Url extends string, Query extends TSchema, Body extends TSchema> = Pick<
  AdminEndpoint,
  'name' | 'help' | 'method' | 'reply' | 'bodyDescription' | 'csv' | 'fileType'
> & {
  url: Url;
  status?: AdminEndpoint['status'];
  creates?: boolean;
  query?: Query;
  body?: Body;
  check?(
    plane: ControlPlane,
    call: AdminCall<ParamsOf<Url>, Static<Query>, Static<Body>>,
  ): Promise<void>;
  run(
    plane: ControlPlane,
    call: AdminCall<ParamsOf<Url>, Static<Query>, Static<Body>>,
  ): object | Promise<object>;
};

/** `run` sees path, query string and body as the schemas say they are. */
export function adminEndpoint<
  Url extends string,
  Query extends TSchema = TSchema,
  Body extends TSchema = TSchema,
>({
  status = 200,
  creates = false,
  query,
  body,
  check,
  run,
  ...rest
}: Spec<Url, Query, Body>): AdminEndpoint {
  const params = pathParams(rest.url);
  const schema = { params, querystring: query ?? closedObject({}), ...(body && { body }) };
  return {
    ...rest,
    ...(check && { check: (plane, call) => check(plane, call as never) }),
    ...{ status, creates, schema },
    run: (plane, call) => run(plane, call as never),
  };
}

function pathParams(url: string): TSchema {
  const names = [...url.matchAll(/:([a-z_]+)/g)].map(([, name = '']) => name);
  return closedObject(Object.fromEntries(names.map((name) => [name, Type.String()])));
}
