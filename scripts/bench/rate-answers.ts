/** What each answer of the data API must say of the rate limit of whoever asks. */
const ANY = /\r\nratelimit/i;
const POLICY = /\r\nratelimit-policy: "client";q=[1-9]\d*;w=[1-9]\d*\r\n/i;
const LEFT = /\r\nratelimit: "client";r=\d+;t=\d+\r\n/i;
const NOTHING_LEFT = /\r\nratelimit: "client";r=0;t=[1-9]\d*\r\n/i;
/** Whole seconds, 1 at least. */
const RETRY_AFTER = /\r\nretry-after: [1-9]\d*\r\n/i;

/** `head` ends with the line break of its last line. */
export function isRateHeaderRight(status: number, head: string): boolean {
  if (status === 401) return !ANY.test(head);
  if (!POLICY.test(head)) return false;
  return status === 429 ? NOTHING_LEFT.test(head) && RETRY_AFTER.test(head) : LEFT.test(head);
}
