/** Requests to the admin API, as those see them who know what to ask. */
import type { Page } from './admin-replies.ts';

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
export type Reply = Record<string, unknown>;

export interface Calls {
  call(method: Method, path: string, body?: object): Promise<Reply>;
  listAll<T>(path: string, parse: (reply: Reply) => Page<T>): Promise<T[]>;
}
