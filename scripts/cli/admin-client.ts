/**
 * The admin API as the command line uses it. The token comes from the env file and goes into a
 * header; it is never an argument and never printed.
 */
import { Client } from 'undici';
import type { Role } from '../../shared/domain/permissions.ts';
import type {
  AdminKey,
  ClientRow,
  KeyRow,
  Page,
  PlanRow,
  StatusRow,
  WorkerRow,
} from './admin-replies.ts';
import {
  parseClient,
  parseKey,
  parsePage,
  parsePlan,
  parsePlans,
  parseStatus,
  parseWorkers,
} from './admin-replies.ts';
import { CommandError, systemCode } from './command-error.ts';

const CLIENTS = '/admin/v1/clients';
const PLANS = '/admin/v1/plans';
const REQUEST_TIMEOUT_MS = 30_000;

export interface NewKey {
  name: string;
  mode: 'live' | 'test';
  role?: Role;
}

export class AdminClient {
  readonly #url: string;
  readonly #token: string;
  readonly #http: Client;

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

  async resumeClient(clientId: string): Promise<ClientRow> {
    return parseClient(await this.#call('POST', `${clientPath(clientId)}/resume`));
  }

  async listPlans(): Promise<PlanRow[]> {
    return parsePlans(await this.#call('GET', PLANS));
  }

  async showPlan(plan: string): Promise<PlanRow> {
    return parsePlan(await this.#call('GET', planPath(plan)));
  }

  /** Without a version the plan is made or replaced; with one it fails when that is not its any more. */
  async putPlan(plan: string, version: number | undefined, terms: object): Promise<PlanRow> {
    return parsePlan(await this.#call('PUT', planPath(plan), terms, version));
  }

  async removePlan(plan: string): Promise<PlanRow> {
    return parsePlan(await this.#call('DELETE', planPath(plan)));
  }

  listClients(): Promise<ClientRow[]> {
    return this.#listAll(CLIENTS, (reply) => parsePage(reply, 'clients', parseClient));
  }

  async createKey(clientId: string, key: NewKey): Promise<AdminKey> {
    const reply = await this.#call('POST', keysPath(clientId), { ...key });
    const { key: secret } = reply;
    if (typeof secret !== 'string') throw badReply('a created key has no secret');
    return { ...parseKey(reply), key: secret };
  }

  listKeys(clientId: string): Promise<KeyRow[]> {
    return this.#listAll(keysPath(clientId), (reply) => parsePage(reply, 'keys', parseKey));
  }

  async revokeKey(clientId: string, keyId: string): Promise<KeyRow> {
    const path = `${keysPath(clientId)}/${encodeURIComponent(keyId)}`;
    return parseKey(await this.#call('DELETE', path));
  }

  async workers(): Promise<WorkerRow[]> {
    return parseWorkers(await this.#call('GET', '/admin/v1/workers'));
  }

  async status(): Promise<StatusRow> {
    return parseStatus(await this.#call('GET', '/admin/v1/status'));
  }

  close(): Promise<void> {
    return this.#http.close();
  }

  async #listAll<T>(path: string, parse: (reply: Reply) => Page<T>): Promise<T[]> {
    const all: T[] = [];
    let after: string | null = null;
    do {
      const query: string = after === null ? '' : `?after=${encodeURIComponent(after)}`;
      const page: Page<T> = parse(await this.#call('GET', `${path}${query}`));
      all.push(...page.items);
      after = page.next;
    } while (after !== null);
    return all;
  }

  async #call(method: Method, path: string, body?: object, version?: number): Promise<Reply> {
    const headers: Record<string, string> = { authorization: `Bearer ${this.#token}` };
    if (version !== undefined) headers['if-match'] = `"${version}"`;
    if (body !== undefined) headers['content-type'] = 'application/json';
    let status: number;
    let text: string;
    try {
      const json = body === undefined ? null : JSON.stringify(body);
      const answer = await this.#http.request({ method, path, headers, body: json });
      status = answer.statusCode;
      text = await answer.body.text();
    } catch (cause) {
      throw unreachable(this.#url, cause);
    }
    const reply = parseReply(text);
    if (status >= 200 && status < 300) return reply;
    throw new CommandError(explain(status, reply));
  }
}

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
export type Reply = Record<string, unknown>;

function clientPath(clientId: string): string {
  return `${CLIENTS}/${encodeURIComponent(clientId)}`;
}

function keysPath(clientId: string): string {
  return `${clientPath(clientId)}/keys`;
}

function planPath(plan: string): string {
  return `${PLANS}/${encodeURIComponent(plan)}`;
}

function originOf(url: string): string {
  if (!URL.canParse(url)) throw new CommandError(`${url} is not a URL`);
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

function unreachable(url: string, cause: unknown): CommandError {
  const code = systemCode(cause);
  if (code === 'ECONNREFUSED') {
    const advice = 'start it with bulkhead up, or name its address with --admin-url';
    return new CommandError(`no service answers at ${url}: ${advice}`, { cause });
  }
  return new CommandError(`the service at ${url} can not be reached (${code ?? String(cause)})`, {
    cause,
  });
}
