/**
 * The admin API as the command line uses it. The token comes from the env file and goes into a
 * header; it is never an argument and never printed.
 */
import { Client } from 'undici';
import type { AdminKey, ClientRow, KeyRow, Page, StatusRow, WorkerRow } from './admin-replies.ts';
import { parseClient, parseKey, parsePage, parseStatus, parseWorkers } from './admin-replies.ts';
import { CommandError, systemCode } from './command-error.ts';

const REQUEST_TIMEOUT_MS = 30_000;

export interface NewKey {
  name: string;
  mode: 'live' | 'test';
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

  async createClient(name: string): Promise<ClientRow> {
    return parseClient(await this.#call('POST', '/admin/v1/clients', { name }));
  }

  listClients(): Promise<ClientRow[]> {
    return this.#listAll('/admin/v1/clients', (reply) => parsePage(reply, 'clients', parseClient));
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

  async #call(method: 'GET' | 'POST' | 'DELETE', path: string, body?: object): Promise<Reply> {
    const headers: Record<string, string> = { authorization: `Bearer ${this.#token}` };
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

export type Reply = Record<string, unknown>;

function keysPath(clientId: string): string {
  return `/admin/v1/clients/${encodeURIComponent(clientId)}/keys`;
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
