/**
 * Requests that make something and may be repeated when their answer was lost: with the same
 * `Idempotency-Key` within a day, the second gets the answer of the first and makes nothing.
 *
 * An answer may hold the secret of an API key, which is stored nowhere else. So it is sealed with a
 * key derived from the `Idempotency-Key`, of which only a digest is kept: the answer can be opened
 * by who repeats the request, and not from the database.
 *
 *   found by:     HMAC(secret, 'name', key)         sealed with:  HMAC(secret, 'seal', key)
 *   in context:   SHA-256(method, path, body)
 */
import { createHash, createHmac } from 'node:crypto';
import { must } from '../../shared/base/assert.ts';
import type { Clock } from '../../shared/base/clock.ts';
import type { SecureRandom } from '../../shared/base/random.ts';
import { open, seal } from '../../shared/crypto/seal.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { ControlStore } from '../store/control-store.ts';

const KEPT_MS = 24 * 3_600_000;

export interface Repeatable {
  idempotencyKey: string;
  method: string;
  url: string;
  body: unknown;
}

export interface IdempotencyDeps {
  store: Pick<ControlStore, 'idempotentReplies' | 'transaction'>;
  secret: string;
  random: SecureRandom;
  clock: Clock;
}

export class Idempotency {
  readonly #deps: IdempotencyDeps;

  constructor(deps: IdempotencyDeps) {
    this.#deps = deps;
  }

  /**
   * The answer of `make`, or the one that it gave to this request before. Both are in one
   * transaction: after a crash there is the thing and its answer, or neither. Throws `conflict`
   * when the key came with another request before.
   */
  once(request: Repeatable, make: () => object): object {
    const { store, random, clock } = this.#deps;
    const name = this.#derive('name', request.idempotencyKey);
    const key = this.#derive('seal', request.idempotencyKey);
    const context = digestOf(request);
    const now = clock.now();
    return store.transaction(() => {
      store.idempotentReplies.forget(now - KEPT_MS);
      const found = store.idempotentReplies.get(name, now - KEPT_MS);
      if (found !== undefined) {
        if (!found.request.equals(context)) throw otherRequest();
        const text = must(open(found.sealed, { key, context }), 'a kept answer can be opened');
        return JSON.parse(text.toString()) as object;
      }
      const answer = make();
      const text = Buffer.from(JSON.stringify(answer));
      const sealed = seal(text, { key, context, bytes: random.bytes });
      store.idempotentReplies.put(name, { request: context, sealed }, now);
      return answer;
    });
  }

  #derive(purpose: 'name' | 'seal', idempotencyKey: string): Buffer {
    const { secret } = this.#deps;
    return createHmac('sha256', secret).update(`${purpose}\0${idempotencyKey}`).digest();
  }
}

function digestOf({ method, url, body }: Repeatable): Buffer {
  const text = JSON.stringify([method, url, body ?? null]);
  return createHash('sha256').update(text).digest();
}

function otherRequest(): AppError {
  const text = 'the Idempotency-Key came with another request before: take a new one';
  return new AppError('conflict', text, { field: 'Idempotency-Key' });
}
