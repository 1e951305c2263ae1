/** The part of the admin API that is about bills, as the command line uses it. */
import { parseStatement, type StatementReply } from './billing-replies.ts';

export interface Calls {
  /** The answer as JSON. */
  call(method: 'GET' | 'POST' | 'PUT' | 'DELETE', path: string, body?: object): Promise<unknown>;
  /** The answer as a table. */
  table(path: string): Promise<string>;
}

export type Wanted = Readonly<Record<string, string | undefined>>;

export class BillingCalls {
  readonly #calls: Calls;

  constructor(calls: Calls) {
    this.#calls = calls;
  }

  async statement(clientId: string, wanted: Wanted): Promise<StatementReply> {
    return parseStatement(await this.#calls.call('GET', statementPath(clientId, wanted)));
  }

  statementTable(clientId: string, wanted: Wanted): Promise<string> {
    return this.#calls.table(statementPath(clientId, wanted));
  }
}

function statementPath(clientId: string, wanted: Wanted): string {
  return `${clientPath(clientId)}/statement${queryOf(wanted)}`;
}

function clientPath(clientId: string): string {
  return `/admin/v1/clients/${encodeURIComponent(clientId)}`;
}

function queryOf(wanted: Wanted): string {
  const given = Object.entries(wanted).flatMap(([name, value]) => {
    return value === undefined ? [] : [[name, value] as const];
  });
  return given.length === 0 ? '' : `?${new URLSearchParams(Object.fromEntries(given))}`;
}
