import { createHash, timingSafeEqual } from 'node:crypto';

const BEARER = /^Bearer +([!-~]+)$/i;

/**
 * The operators' one token. Both sides are hashed before the comparison, so that it takes the same
 * time whatever the presented token's length.
 */
export class AdminToken {
  readonly #digest: Buffer;

  constructor(token: string) {
    this.#digest = sha256(token);
  }

  /** Whether an `Authorization` header carries the token. */
  isIn(header: string | undefined): boolean {
    const presented = BEARER.exec(header ?? '')?.[1];
    return presented !== undefined && timingSafeEqual(sha256(presented), this.#digest);
  }
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
