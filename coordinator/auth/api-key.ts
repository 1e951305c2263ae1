/**
 * The form of an API key, 58 ASCII characters:
 *
 *     bh_live_ 4Kq9...43 characters...Zt _ 0bX3pQ
 *     |        |                         | |
 *     mode     secret, base62            | CRC-32 of all characters before it, base62
 *              (43 x log2 62 = 256 bits) separator
 *
 * The checksum is no secret: it lets a scanner tell a leaked key from noise, and lets us refuse a
 * mistyped one before any hash and any look-up. The first 8 characters of the secret are stored in
 * the clear as the look-up prefix; the other 35 keep 208 bits to guess.
 */
import { crc32 } from 'node:zlib';
import { assert } from '../../shared/base/assert.ts';
import type { Mode } from '../../shared/domain/collection.ts';

const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
/** The value of each base62 character, by its code. */
const DIGIT_OF = Uint8Array.from({ length: 128 }, (_, code) =>
  Math.max(0, BASE62.indexOf(String.fromCharCode(code))),
);
const SECRET_CHARS = 43;
const CHECKSUM_CHARS = 6;
const PREFIX_CHARS = 8;
const SECRET_AT = 'bh_live_'.length;
const CHECKSUM_AT = SECRET_AT + SECRET_CHARS + 1;
const FORM = /^bh_(?:live|test)_[0-9A-Za-z]{43}_[0-9A-Za-z]{6}$/;

export const API_KEY_CHARS = CHECKSUM_AT + CHECKSUM_CHARS;

assert(62 ** CHECKSUM_CHARS > 2 ** 32, 'every CRC-32 fits the checksum');
assert('bh_test_'.length === SECRET_AT, 'both modes have prefixes of one length');

/** Makes a key. `bytes(count)` supplies the randomness and must be cryptographically strong. */
export function createApiKey(mode: Mode, bytes: (count: number) => Uint8Array): string {
  const body = `bh_${mode}_${randomSecret(bytes)}_`;
  return body + checksumOf(body);
}

/** Whether `text` has the form of a key and its checksum. Costs no hash. */
export function isApiKey(text: string): boolean {
  if (text.length !== API_KEY_CHARS || !FORM.test(text)) return false;
  return crc32(text.slice(0, CHECKSUM_AT)) === checksumIn(text);
}

/** The look-up prefix of a well-formed key. */
export function prefixOf(key: string): string {
  return key.slice(SECRET_AT, SECRET_AT + PREFIX_CHARS);
}

/** Uniform over base62: 6 bits a byte, the two values beyond 61 drawn again. */
function randomSecret(bytes: (count: number) => Uint8Array): string {
  let secret = '';
  while (secret.length < SECRET_CHARS) {
    for (const byte of bytes(SECRET_CHARS - secret.length)) secret += BASE62[byte & 63] ?? '';
  }
  return secret;
}

/** The number that the last characters say; below 62^6, so exact. */
function checksumIn(key: string): number {
  let sum = 0;
  for (let i = CHECKSUM_AT; i < API_KEY_CHARS; i += 1) {
    sum = sum * BASE62.length + (DIGIT_OF[key.charCodeAt(i)] as number);
  }
  return sum;
}

function checksumOf(body: string): string {
  let rest = crc32(body);
  let text = '';
  for (let i = 0; i < CHECKSUM_CHARS; i += 1) {
    text = `${BASE62[rest % 62]}${text}`;
    rest = Math.floor(rest / 62);
  }
  return text;
}
