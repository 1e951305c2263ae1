/**
 * Tables as CSV (RFC 4180): a header, CRLF after each line, quotes around cells that need them.
 *
 * A spreadsheet takes a text that begins with one of = + - @ for a formula, and names of collections and
 * clients are chosen by somebody else. So such texts get an apostrophe before them, which spreadsheets read as
 * "a text"; numbers are numbers. (OWASP, CSV Injection.)
 */
import type { FastifyRequest } from 'fastify';
import Type from 'typebox';

export const CSV_TYPE = 'text/csv; charset=utf-8';

/** Of endpoints that answer a table as well. */
export const formatQuery = { format: Type.Optional(Type.Enum(['json', 'csv'])) };

export type Cell = string | number | null;

const FORMULA = /^[=+\-@\t\r]/;
const NUMBER = /^-?[0-9]+(?:\.[0-9]+)?$/;
const QUOTED = /[",\r\n]/;

/** Columns are fields of the rows, in the order given; null is an empty cell. */
export function csvOf<Name extends string>(
  columns: readonly Name[],
  rows: readonly Readonly<Record<Name, Cell>>[],
): string {
  const lines = rows.map((row) => columns.map((column) => csvCell(row[column])).join(','));
  return [columns.join(','), ...lines].map((line) => `${line}\r\n`).join('');
}

function csvCell(value: Cell): string {
  if (value === null) return '';
  const given = String(value);
  const text = FORMULA.test(given) && !NUMBER.test(given) ? `'${given}` : given;
  return QUOTED.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** By `format` in the query string, else by `Accept`. */
export function wantsCsv({ query, headers }: Pick<FastifyRequest, 'query' | 'headers'>): boolean {
  const { format } = query as { format?: string };
  return format === undefined ? (headers.accept ?? '').includes('text/csv') : format === 'csv';
}
