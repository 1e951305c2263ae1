/**
 * Writes of points that a client may repeat when their answer was lost: with the same
 * `Idempotency-Key` within a day, a write takes effect once.
 *
 * That it does is up to the shards, which note the key in the transaction of the write
 * (`shared/protocol/once.ts`). Here a key is bound to the request that it first came with, before
 * anything is sent: another request under it is refused, whatever shard or collection that is for.
 *
 *   key:      HMAC(secret, 'write', client, mode, Idempotency-Key)          16 bytes of each
 *   request:  SHA-256(method, path and query, namespace, SHA-256 of the body's bytes)
 *
 * Keys that are new in one turn of the event loop share one transaction, so that many writers wait
 * for one sync; a key that is known costs a look.
 */
import { createHash, createHmac } from 'node:crypto';
import type { Clock } from '../../shared/base/clock.ts';
import type { ClientId } from '../../shared/base/ids.ts';
import type { Mode } from '../../shared/domain/collection.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import { ONCE_DIGEST_BYTES, ONCE_KEPT_MS, type Once } from '../../shared/protocol/once.ts';
import type { ControlStore } from '../store/control-store.ts';

/** Who writes; of two namespaces of a client the same path means two things. */
export interface Writer {
  clientId: ClientId;
  mode: Mode;
  namespace: string;
}

export interface KeyedWrite {
  idempotencyKey: string;
  method: string;
  /** Path and query, as they came. */
  url: string;
  /** SHA-256 of the body as it came. */
  bodyDigest: Uint8Array;
}

export interface WriteOnceDeps {
  store: Pick<ControlStore, 'writeKeys' | 'transaction'>;
  secret: string;
  clock: Clock;
}

interface Claim {
  wanted: Once;
  resolve: (once: Once) => void;
  reject: (error: unknown) => void;
}

/** Old keys that are forgotten for each new one, and for each transaction: they do not gather. */
const FORGOTTEN_PER_KEY = 2;
const FORGOTTEN = 64;

export class WriteOnce {
  readonly #deps: WriteOnceDeps;
  /** Keys to be written at the end of this turn. */
  #claims: Claim[] = [];

  constructor(deps: WriteOnceDeps) {
    this.#deps = deps;
  }

  /**
   * Binds the key to the request, durably, if it is not yet; what the write's messages carry.
   * Throws `conflict` when it is bound to another one.
   */
  async claim(writer: Writer, write: KeyedWrite): Promise<Once> {
    const at = this.#deps.clock.now();
    const wanted = { key: this.#keyOf(writer, write), request: requestOf(writer, write), at };
    const known = this.#find(wanted);
    if (known !== undefined) return known;
    const { promise, resolve, reject } = Promise.withResolvers<Once>();
    this.#claims.push({ wanted, resolve, reject });
    if (this.#claims.length === 1) setImmediate(() => this.#settle(this.#claims.splice(0)));
    return promise;
  }

  /** All of them in one transaction. Two may be for the same key. */
  #settle(claims: readonly Claim[]): void {
    const { store, clock } = this.#deps;
    const answers: (() => void)[] = [];
    try {
      store.transaction(() => {
        const forgotten = FORGOTTEN + FORGOTTEN_PER_KEY * claims.length;
        store.writeKeys.forget(clock.now() - ONCE_KEPT_MS, forgotten);
        for (const { wanted, resolve, reject } of claims) {
          try {
            const once = this.#find(wanted) ?? this.#add(wanted);
            answers.push(() => resolve(once));
          } catch (error) {
            if (!isConflict(error)) throw error;
            answers.push(() => reject(error));
          }
        }
      });
    } catch (error) {
      for (const { reject } of claims) reject(error);
      return;
    }
    for (const answer of answers) answer();
  }

  #find({ key, request, at }: Once): Once | undefined {
    const known = this.#deps.store.writeKeys.get(key, at - ONCE_KEPT_MS);
    if (known !== undefined && Buffer.compare(known.request, request) !== 0) throw otherRequest();
    return known;
  }

  #add(once: Once): Once {
    this.#deps.store.writeKeys.put(once);
    return once;
  }

  #keyOf({ clientId, mode }: Writer, { idempotencyKey }: KeyedWrite): Buffer {
    const hmac = createHmac('sha256', this.#deps.secret);
    const digest = hmac.update(['write', clientId, mode, idempotencyKey].join('\0')).digest();
    return digest.subarray(0, ONCE_DIGEST_BYTES);
  }
}

function requestOf({ namespace }: Writer, { method, url, bodyDigest }: KeyedWrite): Buffer {
  const hash = createHash('sha256').update(JSON.stringify([method, url, namespace]));
  return hash.update(bodyDigest).digest().subarray(0, ONCE_DIGEST_BYTES);
}

function isConflict(error: unknown): boolean {
  return error instanceof AppError && error.code === 'conflict';
}

function otherRequest(): AppError {
  const text = 'the Idempotency-Key came with another request before: take a new one';
  return new AppError('conflict', text, { field: 'Idempotency-Key' });
}
