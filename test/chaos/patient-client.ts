/**
 * A client that repeats what the service could not do or did not answer, as SDKs do, until it is
 * done. Every operation that it sends may be repeated without harm.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../../shared/base/clock.ts';
import { CollectionClient, type Endpoint } from '../model/collection-client.ts';
import type { Clause } from '../model/model.ts';

const PAUSE_MS = 20;
const PATIENCE_MS = 60_000;
/** The service says of these that the same request may succeed later. */
const TRANSIENT = new Set([429, 502, 503, 504]);

export interface Patience {
  /** Whether requests that read are repeated, too. Without it one that fails, fails the test. */
  reads: boolean;
}

export class PatientClient extends CollectionClient {
  /** Answers other than 200, by status; 0: none came. */
  readonly refusals = new Map<number, number>();
  readonly #patience: Patience;

  constructor(endpoint: Endpoint, name: string, patience: Patience) {
    super(endpoint, name);
    this.#patience = patience;
  }

  protected override async send(method: string, path: string, body?: Clause) {
    const giveUpAtMs = systemClock.monotonicMs() + PATIENCE_MS;
    for (;;) {
      const answer = await this.#try(method, path, body);
      const done = answer.status !== 0 && !TRANSIENT.has(answer.status);
      if (done || !(this.#patience.reads || isWrite(method, path))) return answer;
      if (systemClock.monotonicMs() > giveUpAtMs) return answer;
      await sleep(PAUSE_MS);
    }
  }

  async #try(method: string, path: string, body?: Clause) {
    try {
      const answer = await super.send(method, path, body);
      if (answer.status !== 200) this.#note(answer.status);
      return answer;
    } catch (error) {
      this.#note(0);
      return { status: 0, reply: Buffer.from(String(error)) };
    }
  }

  #note(status: number): void {
    this.refusals.set(status, (this.refusals.get(status) ?? 0) + 1);
  }
}

function isWrite(method: string, path: string): boolean {
  return (
    (method !== 'GET' && !/^\/points(?:\/(?:query|scroll|count)|$)/.test(path)) || method === 'PUT'
  );
}
