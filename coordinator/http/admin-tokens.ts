import { createHash, timingSafeEqual } from 'node:crypto';
import { assert } from '../../shared/base/assert.ts';

const BEARER = /^Bearer +([!-~]+)$/i;

/**
 * The operators' token, or two while one is being replaced. Both sides are hashed before the
 * comparison, and all are compared, so that it takes the same time whatever is presented.
 */
export class AdminTokens {
  readonly #digests: readonly Buffer[];

  /** Empty ones are none; one must be there. */
  constructor(tokens: readonly string[]) {
    this.#digests = tokens.filter((token) => token !== '').map(sha256);
    assert(this.#digests.length > 0, 'the admin API has a token');
  }

  /** Whether an `Authorization` header carries one of them. */
  isIn(header: string | undefined): boolean {
    const presented = BEARER.exec(header ?? '')?.[1];
    if (presented === undefined) return false;
    const digest = sha256(presented);
    return this.#digests.filter((known) => timingSafeEqual(known, digest)).length > 0;
  }
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
