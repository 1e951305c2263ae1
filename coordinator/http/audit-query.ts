/** The query strings of the audit log: `?after=120&action=...` and `?after=120`. */
import { Limit, parseLimit } from './page-query.ts';
import { formedText, type SchemaValue } from './validation.ts';

const After = formedText('^[0-9]{1,15}$', 'must be the number of an entry, as "next" gives it');
const Text = formedText('^[!-~ ]{1,200}$', 'must be a text of up to 200 characters');
const Time = formedText('^[0-9TtZz:.+ -]{1,40}$', 'must be a time as in RFC 3339');

export const exportQuery = { after: After };
export const auditQuery = {
  after: After,
  limit: Limit,
  action: Text,
  actor: Text,
  target: Text,
  from: Time,
  until: Time,
};

type Given = { [Name in keyof typeof auditQuery]?: SchemaValue<(typeof auditQuery)[Name]> };

export function parseAuditQuery({ after, limit, ...filter }: Given) {
  return { ...filter, after: parseAfter(after), limit: parseLimit(limit) };
}

/** 0: from the beginning. */
export function parseAfter(text: string | undefined): number {
  return Number(text ?? 0);
}
