import { createHmac, createSecretKey, type KeyObject } from 'node:crypto';

/**
 * HMAC-SHA-256(pepper, key): what the database stores of a key and what decides whether a
 * presented one is it. Keys are 256 random bits, so a slow password hash would only cost time; the
 * pepper makes a stolen database useless for checking a guess or a leaked key.
 */
export class KeyDigester {
  /** Not a Buffer: Node would turn it into a `KeyObject` for each digest (19 us instead of 4). */
  readonly #pepper: KeyObject;

  constructor(pepper: string) {
    this.#pepper = createSecretKey(Buffer.from(pepper));
  }

  digest(key: string): Buffer {
    return createHmac('sha256', this.#pepper).update(key).digest();
  }
}
