/**
 * The admin API as the command line uses it. The token comes from the env file and goes into a
 * header; it is never an argument and never printed.
 */
import { Client } from 'undici';
import { secureRandom } from '../../../shared/base/random.ts';
import { CommandError, type EXIT, systemCode } from '../command-error.ts';
import type {
  AuditPage,
  AuditRow,
  ClientRow,
  ComparisonRow,
  KeyRow,
  KeyWithSecret,
  Page,
  PlanRow,
  ReplicaRow,
  StatusRow,
  UsageReport,
  WorkerRow,
} from './admin-replies.ts';
import {
  parseAudit,
  parseAuditExport,
  parseAuditKey,
  parseClient,
  parseComparison,
  parseKey,
  parseKeyWithSecret,
  parsePage,
  parsePlan,
  parsePlans,
  parseReplica,
  parseStatus,
  parseUsage,
  parseWorker,
  parseWorkers,
} from './admin-replies.ts';
import { BillingCalls } from './billing-calls.ts';
import type { Method, Reply } from './calls.ts';
import {
  type CensusCollectionRow,
  type CensusRow,
  parseCensus,
  parseClientCensus,
} from './census-replies.ts';
import { type CollectionRow, parseCollection } from './collection-replies.ts';
import { NotifyClient } from './notify-client.ts';

const CENSUSES = '/admin/v1/censuses';
const CLIENTS = '/admin/v1/clients';
const COMPARISON = '/admin/v1/replicas/compare';
const PLANS = '/admin/v1/plans';
const REQUEST_TIMEOUT_MS = 30_000;

/** What a key may do, as the API says it; what is absent stays as it is. */
export interface KeyTerms {
  name?: string;
  role?: string;
  /** Null: all of the client's. */
  namespaces?: string[] | null;
  requests_per_second?: number | null;
  expires_at?: string | null;
}

export type NewKey = KeyTerms & { mode: 'live' | 'test' };

export class AdminClient {
  readonly #url: string;
  readonly #token: string;
  readonly #http: Client;
  /** Notices, webhooks and mail recipients. */
  readonly notify = new NotifyClient({
    call: (method, path, body) => this.#call(method, path, body),
    listAll: (path, parse) => this.#listAll(path, parse),
  });
  /** What is about bills. */
  readonly billing = new BillingCalls({
    call: (method, path, body) => this.#call(method, path, body),
    table: (path) => this.#table(path),
  });

  constructor(options: { url: string; token: string }) {
    this.#url = options.url;
    this.#token = options.token;
    this.#http = new Client(originOf(options.url), {
      headersTimeout: REQUEST_TIMEOUT_MS,
      bodyTimeout: REQUEST_TIMEOUT_MS,
      connectTimeout: REQUEST_TIMEOUT_MS,
    });
  }

  async createClient(client: { name: string; plan?: string }): Promise<ClientRow> {
    return parseClient(await this.#call('POST', CLIENTS, { ...client }));
  }

  async showClient(clientId: string): Promise<ClientRow> {
    return parseClient(await this.#call('GET', clientPath(clientId)));
  }

  /** Fails when the client is not at that version any more. */
  async updateClient(clientId: string, version: number, update: object): Promise<ClientRow> {
    return parseClient(await this.#call('PATCH', clientPath(clientId), update, version));
  }

  async suspendClient(clientId: string, reason: string): Promise<ClientRow> {
    return parseClient(await this.#call('POST', `${clientPath(clientId)}/suspend`, { reason }));
  }

  async pauseClient(
    clientId: string,
    pause: { reason: string; scope: string },
  ): Promise<ClientRow> {
    return parseClient(await this.#call('POST', `${clientPath(clientId)}/pause`, pause));
  }

  async resumeClient(clientId: string): Promise<ClientRow> {
    return parseClient(await this.#call('POST', `${clientPath(clientId)}/resume`));
  }

  listCollections(clientId: string): Promise<CollectionRow[]> {
    const parse = (reply: unknown) => parsePage(reply, 'collections', parseCollection);
    return this.#listAll(`${clientPath(clientId)}/collections`, parse);
  }

  async pauseCollection(
    clientId: string,
    collectionId: string,
    reason: string,
  ): Promise<CollectionRow> {
    const path = `${collectionPath(clientId, collectionId)}/pause`;
    return parseCollection(await this.#call('POST', path, { reason }));
  }

  async wakeCollection(clientId: string, collectionId: string): Promise<CollectionRow> {
    const path = `${collectionPath(clientId, collectionId)}/wake`;
    return parseCollection(await this.#call('POST', path));
  }

  async listPlans(): Promise<PlanRow[]> {
    return parsePlans(await this.#call('GET', PLANS));
  }

  async showPlan(plan: string): Promise<PlanRow> {
    return parsePlan(await this.#call('GET', planPath(plan)));
  }

  /** Makes the plan, if it is not there, or changes the one of that version. */
  async putPlan(plan: string, version: number | 'new', terms: object): Promise<PlanRow> {
    return parsePlan(await this.#call('PUT', planPath(plan), terms, version));
  }

  async removePlan(plan: string): Promise<PlanRow> {
    return parsePlan(await this.#call('DELETE', planPath(plan)));
  }

  /** All clients, or those of a name. */
  listClients({ name }: { name?: string } = {}): Promise<ClientRow[]> {
    const query: Record<string, string> = name === undefined ? {} : { name };
    return this.#listAll(CLIENTS, (reply) => parsePage(reply, 'clients', parseClient), query);
  }

  /** Erases the client after so many seconds, a number that the service chooses if it is absent. */
  async deleteClient(clientId: string, graceSeconds?: number): Promise<ClientRow> {
    const query = graceSeconds === undefined ? '' : `?grace_seconds=${graceSeconds}`;
    return parseClient(await this.#call('DELETE', `${clientPath(clientId)}${query}`));
  }

  async createKey(clientId: string, key: NewKey): Promise<KeyWithSecret> {
    return parseKeyWithSecret(await this.#call('POST', keysPath(clientId), { ...key }));
  }

  async showKey(clientId: string, keyId: string): Promise<KeyRow> {
    return parseKey(await this.#call('GET', keyPath(clientId, keyId)));
  }

  /** Fails when the key is not at that version any more. */
  async updateKey(
    clientId: string,
    keyId: string,
    version: number,
    change: object,
  ): Promise<KeyRow> {
    return parseKey(await this.#call('PATCH', keyPath(clientId, keyId), change, version));
  }

  async rotateKey(clientId: string, keyId: string, graceSeconds?: number): Promise<KeyWithSecret> {
    const body = graceSeconds === undefined ? {} : { grace_seconds: graceSeconds };
    return parseKeyWithSecret(await this.#call('POST', `${keyPath(clientId, keyId)}/rotate`, body));
  }

  listKeys(clientId: string): Promise<KeyRow[]> {
    return this.#listAll(keysPath(clientId), (reply) => parsePage(reply, 'keys', parseKey));
  }

  async revokeKey(clientId: string, keyId: string): Promise<KeyRow> {
    return parseKey(await this.#call('DELETE', keyPath(clientId, keyId)));
  }

  async usage(
    clientId: string,
    wanted: Readonly<Record<string, string | undefined>>,
  ): Promise<UsageReport> {
    const given = Object.entries(wanted).flatMap(([name, value]) => {
      return value === undefined ? [] : [[name, value] as const];
    });
    const query = new URLSearchParams(Object.fromEntries(given));
    return parseUsage(await this.#call('GET', `${clientPath(clientId)}/usage?${query}`));
  }

  /** The newest ones. */
  async listCensuses(limit: number): Promise<CensusRow[]> {
    const path = `${CENSUSES}?limit=${limit}`;
    return parsePage(await this.#call('GET', path), 'censuses', parseCensus).items;
  }

  async takeCensus(): Promise<CensusRow> {
    return parseCensus(await this.#call('POST', CENSUSES));
  }

  async showCensus(census: string): Promise<CensusRow> {
    return parseCensus(await this.#call('GET', censusPath(census)));
  }

  /** What a census found of a client's collections; of the last day unless one is named. */
  async clientCensus(clientId: string, census?: string): Promise<CensusCollectionRow[]> {
    const all: CensusCollectionRow[] = [];
    for (let after: number | null = 0; after !== null; ) {
      const query = new URLSearchParams({ after: String(after), ...(census && { day: census }) });
      const path = `${clientPath(clientId)}/census?${query}`;
      const page = parseClientCensus(await this.#call('GET', path));
      all.push(...page.items);
      after = page.next;
    }
    return all;
  }

  /** PEM: verifies archives of censuses. */
  async censusKey(): Promise<string> {
    return parseAuditKey(await this.#call('GET', `${CENSUSES}/key`));
  }

  /** The bytes of an archive. */
  async *censusArchive(census: string): AsyncIterable<Buffer> {
    const path = `${censusPath(census)}/archive`;
    const headers = { authorization: `Bearer ${this.#token}` };
    const answer = await this.#http.request({ method: 'GET', path, headers }).catch((cause) => {
      throw unreachable(this.#url, cause);
    });
    if (answer.statusCode !== 200) {
      const reply = parseReply(await answer.body.text());
      throw new CommandError(explain(answer.statusCode, reply), {
        exit: exitOf(answer.statusCode),
      });
    }
    yield* answer.body as AsyncIterable<Buffer>;
  }

  /** PEM: verifies exports of audit chains. */
  async auditKey(): Promise<string> {
    return parseAuditKey(await this.#call('GET', '/admin/v1/audit/key'));
  }

  /** The lines of an export, some at a time; of the operators' chain when no client is named. */
  async *exportAudit(client: string | undefined, from: number): AsyncIterable<string> {
    let until: number | undefined;
    for (let after: number | null = from; after !== null; ) {
      const query = new URLSearchParams({
        after: String(after),
        ...(client !== undefined && { client }),
        ...(until !== undefined && { until: String(until) }),
      });
      const part = parseAuditExport(await this.#call('GET', `/admin/v1/audit/export?${query}`));
      yield part.text;
      after = part.next;
      until = part.until;
    }
  }

  /** What operators changed, of one client, key or plan if it is named; oldest first. */
  async listAudit(target?: string): Promise<AuditRow[]> {
    const all: AuditRow[] = [];
    for (let after: number | null = 0; after !== null; ) {
      const query = new URLSearchParams({ after: String(after), ...(target && { target }) });
      const page: AuditPage = parseAudit(await this.#call('GET', `/admin/v1/audit?${query}`));
      all.push(...page.items);
      after = page.next;
    }
    return all;
  }

  async workers(): Promise<WorkerRow[]> {
    return parseWorkers(await this.#call('GET', '/admin/v1/workers'));
  }

  async showWorker(workerId: string): Promise<WorkerRow> {
    return parseWorker(await this.#call('GET', workerPath(workerId)));
  }

  /** Fails when the worker is not at that version any more. */
  async updateWorker(workerId: string, version: number, update: object): Promise<WorkerRow> {
    return parseWorker(await this.#call('PATCH', workerPath(workerId), update, version));
  }

  async drainWorker(workerId: string): Promise<WorkerRow> {
    return parseWorker(await this.#call('POST', `${workerPath(workerId)}/drain`));
  }

  async resumeWorker(workerId: string): Promise<WorkerRow> {
    return parseWorker(await this.#call('POST', `${workerPath(workerId)}/resume`));
  }

  /** Where every copy of every shard is: all, or those of a worker, of a client, in a state. */
  listReplicas(query: { worker?: string; client?: string; state?: string }): Promise<ReplicaRow[]> {
    const parse = (reply: Reply) => parsePage(reply, 'replicas', parseReplica);
    return this.#listAll('/admin/v1/replicas', parse, query);
  }

  /** Has the replicas of all shards compared, or of those of a client. */
  async compareReplicas(clientId: string | undefined): Promise<ComparisonRow> {
    const body = clientId === undefined ? {} : { client_id: clientId };
    return parseComparison(await this.#call('POST', COMPARISON, body));
  }

  async comparison(): Promise<ComparisonRow> {
    return parseComparison(await this.#call('GET', COMPARISON));
  }

  /** Has a worker open a shard again that it has quarantined. */
  async releaseShard(workerId: string, shardId: string): Promise<void> {
    const shard = `shards/${encodeURIComponent(shardId)}`;
    await this.#call('POST', `${workerPath(workerId)}/${shard}/release`);
  }

  async status(): Promise<StatusRow> {
    return parseStatus(await this.#call('GET', '/admin/v1/status'));
  }

  close(): Promise<void> {
    return this.#http.close();
  }

  async #listAll<T>(
    path: string,
    parse: (reply: Reply) => Page<T>,
    query: Record<string, string> = {},
  ): Promise<T[]> {
    const all: T[] = [];
    let after: string | null = null;
    do {
      const wanted = new URLSearchParams(after === null ? query : { ...query, after });
      const url = wanted.size === 0 ? path : `${path}?${wanted}`;
      const page: Page<T> = parse(await this.#call('GET', url));
      all.push(...page.items);
      after = page.next;
    } while (after !== null);
    return all;
  }

  async #table(path: string): Promise<string> {
    const { status, text } = await this.#send('GET', path, { accept: 'text/csv' });
    if (status >= 200 && status < 300) return text;
    throw new CommandError(explain(status, parseReply(text)), { exit: exitOf(status) });
  }

  async #call(
    method: Method,
    path: string,
    body?: object,
    version?: number | 'new',
  ): Promise<Reply> {
    const headers: Record<string, string> = {};
    if (version === 'new') headers['if-none-match'] = '*';
    else if (version !== undefined) headers['if-match'] = `"${version}"`;
    if (body !== undefined) headers['content-type'] = 'application/json';
    // What makes something can be asked for again when its answer is lost.
    if (method === 'POST') headers['idempotency-key'] = secureRandom.uuid();
    const { status, text } = await this.#send(method, path, headers, body);
    const reply = parseReply(text);
    if (status >= 200 && status < 300) return reply;
    throw new CommandError(explain(status, reply), { exit: exitOf(status) });
  }

  async #send(
    method: Method,
    path: string,
    headers: Record<string, string>,
    body?: object,
  ): Promise<{ status: number; text: string }> {
    const json = body === undefined ? null : JSON.stringify(body);
    const all = { authorization: `Bearer ${this.#token}`, ...headers };
    const ask = async () => {
      const answer = await this.#http.request({ method, path, headers: all, body: json });
      return { status: answer.statusCode, text: await answer.body.text() };
    };
    return ask().catch((cause: unknown) => {
      if (method !== 'POST' || systemCode(cause) === 'ECONNREFUSED')
        throw unreachable(this.#url, cause);
      return ask().catch((again: unknown) => {
        throw unreachable(this.#url, again);
      });
    });
  }
}

function clientPath(clientId: string): string {
  return `${CLIENTS}/${encodeURIComponent(clientId)}`;
}

function workerPath(workerId: string): string {
  return `/admin/v1/workers/${encodeURIComponent(workerId)}`;
}

function censusPath(census: string): string {
  return `${CENSUSES}/${encodeURIComponent(census)}`;
}

function collectionPath(clientId: string, collectionId: string): string {
  return `${clientPath(clientId)}/collections/${encodeURIComponent(collectionId)}`;
}

function keysPath(clientId: string): string {
  return `${clientPath(clientId)}/keys`;
}

function keyPath(clientId: string, keyId: string): string {
  return `${keysPath(clientId)}/${encodeURIComponent(keyId)}`;
}

function planPath(plan: string): string {
  return `${PLANS}/${encodeURIComponent(plan)}`;
}

function originOf(url: string): string {
  if (!URL.canParse(url)) throw new CommandError(`${url} is not a URL`, { exit: 'usage' });
  return new URL(url).origin;
}

function parseReply(text: string): Reply {
  if (text === '') return {};
  try {
    const reply: unknown = JSON.parse(text);
    if (typeof reply === 'object' && reply !== null) return { ...reply };
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
  }
  throw badReply('it is not JSON');
}

function badReply(problem: string): CommandError {
  return new CommandError(`the answer is not one of a Bulkhead admin API: ${problem}`);
}

function explain(status: number, reply: Reply): string {
  if (status === 401) return 'the admin token was refused: does --env-file name the right file?';
  const { detail, title } = reply;
  if (typeof detail === 'string') return detail;
  return typeof title === 'string' ? title : `the service answered ${status}`;
}

function exitOf(status: number): keyof typeof EXIT {
  if (status === 404) return 'notFound';
  if (status === 400) return 'usage';
  return status < 500 ? 'refused' : 'failed';
}

function unreachable(url: string, cause: unknown): CommandError {
  const code = systemCode(cause);
  const exit = 'unreachable';
  if (code === 'ECONNREFUSED') {
    const advice = 'start it with bulkhead up, or name its address with --admin-url';
    return new CommandError(`no service answers at ${url}: ${advice}`, { exit, cause });
  }
  const why = code ?? String(cause);
  return new CommandError(`the service at ${url} can not be reached (${why})`, { exit, cause });
}
