/**
 * AES-256-GCM with a random nonce before and the tag behind:
 *
 *     nonce (12) | ciphertext | tag (16)
 *
 * `context` is authenticated, not stored: a box that is opened for another purpose is refused. One
 * key may seal 2^32 boxes (NIST SP 800-38D, 8.3).
 */
import { createCipheriv, createDecipheriv } from 'node:crypto';

export const SEAL_KEY_BYTES = 32;
const ALGORITHM = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

export function seal(
  text: Uint8Array,
  options: { key: Uint8Array; context: Uint8Array; bytes: (count: number) => Uint8Array },
): Buffer {
  const nonce = options.bytes(NONCE_BYTES);
  const cipher = createCipheriv(ALGORITHM, options.key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(options.context);
  return Buffer.concat([nonce, cipher.update(text), cipher.final(), cipher.getAuthTag()]);
}

/** Undefined for what was not sealed with this key in this context. */
export function open(
  box: Uint8Array,
  options: { key: Uint8Array; context: Uint8Array },
): Buffer | undefined {
  if (box.length < NONCE_BYTES + TAG_BYTES) return undefined;
  const nonce = box.subarray(0, NONCE_BYTES);
  const decipher = createDecipheriv(ALGORITHM, options.key, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(options.context);
  decipher.setAuthTag(box.subarray(-TAG_BYTES));
  const text = decipher.update(box.subarray(NONCE_BYTES, -TAG_BYTES));
  try {
    return Buffer.concat([text, decipher.final()]);
  } catch {
    // Node says no more than that the tag does not fit.
    return undefined;
  }
}
