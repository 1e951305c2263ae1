/** Fields of what the admin API answers, each checked where it is read. */
import { CommandError } from '../command-error.ts';

export type Fields = Record<string, unknown>;
export type Numbers = Readonly<Record<string, number>>;

export function object(value: unknown): Fields {
  if (typeof value !== 'object' || value === null) throw unexpected('an object');
  return { ...value };
}

export function list(fields: Fields, name: string): unknown[] {
  const value = fields[name];
  if (!Array.isArray(value)) throw unexpected(name);
  return value;
}

export function numbers(fields: Fields, name: string): Numbers {
  const values = object(fields[name]);
  return Object.fromEntries(Object.keys(values).map((key) => [key, number(values, key)]));
}

export function text(fields: Fields, name: string): string {
  const value = fields[name];
  if (typeof value !== 'string') throw unexpected(name);
  return value;
}

export function textOrNull(fields: Fields, name: string): string | null {
  return fields[name] === null ? null : text(fields, name);
}

export function number(fields: Fields, name: string): number {
  const value = fields[name];
  if (typeof value !== 'number') throw unexpected(name);
  return value;
}

export function numberOrNull(fields: Fields, name: string): number | null {
  return fields[name] === null ? null : number(fields, name);
}

function unexpected(what: string): CommandError {
  return new CommandError(`the answer is not one of a Bulkhead admin API: ${what} is missing`);
}
