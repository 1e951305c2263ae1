/**
 * Mail addresses, as much of RFC 5321 as is in use: ASCII, a local part without quotes, a domain of two
 * labels at least. Nothing that passes can end a line, begin a comment or name a second address.
 */
const ADDRESS_CHARS_MAX = 254;
const LOCAL_CHARS_MAX = 64;
const LOCAL = /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*$/;
const LABEL = /^[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/;
const DIGITS = /^[0-9]+$/;

/** The address with its domain in lower case; undefined when it is none. */
export function parseMailAddress(text: string): string | undefined {
  if (text.length > ADDRESS_CHARS_MAX) return undefined;
  const at = text.lastIndexOf('@');
  const local = text.slice(0, Math.max(at, 0));
  const labels = text.slice(at + 1).split('.');
  if (local.length > LOCAL_CHARS_MAX || !LOCAL.test(local)) return undefined;
  if (labels.length < 2 || !labels.every((label) => LABEL.test(label))) return undefined;
  if (DIGITS.test(labels.at(-1) ?? '')) return undefined;
  return `${local}@${labels.join('.').toLowerCase()}`;
}

/** Enough to tell one's own addresses apart, and no more: `a***@example.com`. */
export function maskMailAddress(address: string): string {
  const at = address.lastIndexOf('@');
  return `${address.slice(0, 1)}***${address.slice(at)}`;
}
