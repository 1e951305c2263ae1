/**
 * Branded strings: a client id can never be passed where a shard id is wanted.
 */
declare const brand: unique symbol;
type Branded<Name extends string> = string & { readonly [brand]: Name };

/** `cl_` and 16 lower-case base32 characters. */
export type ClientId = Branded<'ClientId'>;
/** `key_` and 16 lower-case base32 characters; safe to log, says nothing about the secret. */
export type KeyId = Branded<'KeyId'>;
/** `wk_` and 16 lower-case base32 characters; lives in the worker's data folder. */
export type WorkerId = Branded<'WorkerId'>;
/** `req_` and 16 lower-case base32 characters, or what a trusted proxy gave (`isRequestId`); in logs, in the audit
 * log and in the answer. */
export type RequestId = Branded<'RequestId'>;
/** A random UUID; unguessable, so that a confused request can not meet another client's shard. */
export type ShardId = Branded<'ShardId'>;
/** A random UUID. */
export type CollectionId = Branded<'CollectionId'>;

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567';
const RANDOM_CHARS = 16;

export type IdPrefix = 'cl_' | 'key_' | 'wk_' | 'req_';

/** A prefixed id of 80 random bits. `bytes(count)` supplies the randomness. */
export function randomId<Id extends ClientId | KeyId | WorkerId | RequestId>(
  prefix: IdPrefix,
  bytes: (count: number) => Uint8Array,
): Id {
  let text: string = prefix;
  for (const byte of bytes(RANDOM_CHARS)) text += ALPHABET[byte & 31];
  return text as Id;
}

/** Whether `text` has the form of an id with this prefix. */
export function isId(prefix: IdPrefix, text: string): boolean {
  return text.startsWith(prefix) && /^[a-z2-7]{16}$/.test(text.slice(prefix.length));
}

/** What a request id has at most: a byte less than its place in a frame. */
export const REQUEST_ID_CHARS_MAX = 63;
const REQUEST_ID = /^[A-Za-z0-9._-]{8,63}$/;

/** Whether it can be the id of a request, whoever made it: nothing in it has to be escaped anywhere. */
export function isRequestId(text: string): text is RequestId {
  return REQUEST_ID.test(text);
}

/** Whether `text` is a UUID as ids of shards and collections are written. */
export function isUuid(text: string): boolean {
  return /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text);
}
