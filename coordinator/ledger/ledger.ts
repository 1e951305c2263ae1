/**
 * The ledger as the coordinator sees it: entries are gathered into batches, a batch is one transaction of
 * the ledger's thread, and one is under way at a time.
 *
 *   append --> waiting --50 ms, 1,000 entries, or urgent--> batch --> thread: on disk --> resolved
 *                 ^                                            |  fails: the same batch, after a pause
 *                 |                                            |  thread dies: another, the same batch
 *                 +---- entries that come meanwhile            v
 *
 * An entry that was taken is written in the end or the process has ended: whoever can not wait for that
 * writes nothing itself before it is (`append` resolves). More than a bound of them are not taken; then
 * requests are refused before there is anything to enter (`isFull`).
 */
import { Worker } from 'node:worker_threads';
import { must } from '../../shared/base/assert.ts';
import type { Clock } from '../../shared/base/clock.ts';
import { compileCacheEnvironment } from '../../shared/base/compile-cache.ts';
import type { Deadline } from '../../shared/base/deadline.ts';
import { type ClientId, isId } from '../../shared/base/ids.ts';
import { InUse } from '../../shared/base/in-use.ts';
import { PendingCalls } from '../../shared/base/pending-calls.ts';
import type { SecureRandom } from '../../shared/base/random.ts';
import { ANCHORS_CHAIN } from '../../shared/crypto/signed-lines.ts';
import { LIMITS } from '../../shared/domain/limits.ts';
import type { Notice } from '../../shared/domain/notices.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { Log } from '../../shared/log/log.ts';
import type {
  BrokenChain,
  LedgerEntry,
  LedgerMessage,
  LedgerQuestions,
  LedgerRequest,
  LedgerThreadData,
  Pruned,
  PruneStep,
  QuestionName,
} from './entries.ts';

export interface LedgerDeps {
  clock: Clock;
  random: SecureRandom;
  log: Log;
  /** Hears of chains that are broken, and of anchors that failed. */
  tell: (notice: Notice) => void;
}

export interface LedgerOptions {
  /** Of the key that heads of audit chains are signed with. */
  auditSeed: Uint8Array;
  /** The thread's program; another one in tests. */
  entry?: URL;
}

interface Waiting {
  entry: LedgerEntry;
  resolve: () => void;
  reject: (error: Error) => void;
}

interface Call {
  resolve: (answer: unknown) => void;
  reject: (error: Error) => void;
}

const ENTRY = new URL('./ledger-thread.ts', import.meta.url);
const BATCH_MS = 50;
const BATCH_ENTRIES = 1_000;
const RETRY_MS = 1_000;
const RUN_BYTES = 16;
const ANCHOR_MS = 60_000;
/** Why a chain is broken, for people. */
const BROKEN_TEXTS: Readonly<Record<BrokenChain['reason'], string>> = {
  entry: 'an entry that was signed is another one, or there is none',
  beginning: 'entries are missing at the beginning, and no checkpoint says that they were pruned',
  checkpoint: 'the checkpoint of what was pruned is not the one that was signed',
  anchors: 'the newest file of anchors is missing, or does not begin as it should',
};

export class Ledger {
  readonly #deps: LedgerDeps;
  readonly #file: string;
  readonly #entry: URL;
  readonly #auditSeed: Uint8Array;
  /** So that batches of this process are not taken for those of another. */
  readonly #run: string;
  #batch = 0;
  #waiting: Waiting[] = [];
  #sent: Waiting[] = [];
  #calls = new PendingCalls<Call>();
  #thread: Worker | undefined;
  /** Of the thread that is there. */
  #ready: Promise<void> | undefined;
  #exited = Promise.resolve();
  #cancel: (() => void) | undefined;
  #state: 'open' | 'failing' | 'closing' | 'closed' = 'open';
  #onDrained: (() => void) | undefined;
  #cancelAnchor: (() => void) | undefined;
  /** When an anchor failed, and none has succeeded since. */
  #unanchoredSince: string | undefined;

  /** Begins to open or make the file; see `opened`. */
  constructor(file: string, deps: LedgerDeps, { entry = ENTRY, auditSeed }: LedgerOptions) {
    this.#deps = deps;
    this.#file = file;
    this.#entry = entry;
    this.#auditSeed = auditSeed;
    this.#run = Buffer.from(deps.random.bytes(RUN_BYTES)).toString('hex');
    this.#ready = this.#spawn();
    // Whoever waits for it hears of a failure; there may be nobody yet.
    this.#ready.catch(() => undefined);
  }

  /** Resolves when the file is open. Rejects with `InUse`, and an `Error` for the operator. */
  async opened(): Promise<void> {
    await this.#ready;
    // A process that is killed again and again anchors all the same.
    void this.#anchor();
  }

  /** Whether no more entries are taken until others are written. */
  get isFull(): boolean {
    return this.#waiting.length + this.#sent.length >= LIMITS.ledgerEntriesMax;
  }

  /**
   * Resolves when the entry is on disk; `urgent` ones are not gathered. Rejects with `overloaded` when it
   * was not taken, and with `shutting_down`.
   */
  append(entry: LedgerEntry, { urgent = false } = {}): Promise<void> {
    if (this.#state === 'closing' || this.#state === 'closed') {
      return Promise.reject(new AppError('shutting_down'));
    }
    if (this.isFull)
      return Promise.reject(new AppError('overloaded', 'the ledger can not keep up'));
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#waiting.push({ entry, resolve, reject });
    if (urgent || this.#waiting.length >= BATCH_ENTRIES) this.#flush();
    else this.#cancel ??= this.#deps.clock.after(BATCH_MS, () => this.#flush());
    return promise;
  }

  /** Rejects when it can not be read just now. */
  async ask<N extends QuestionName>(
    name: N,
    about: LedgerQuestions[N]['about'],
  ): Promise<LedgerQuestions[N]['answer']> {
    const question = { kind: 'question', name, about } as const;
    return (await this.#request(question as Sendable)) as LedgerQuestions[N]['answer'];
  }

  /** A step of pruning an audit chain. Rejects when it can not be done just now. */
  async prune(step: PruneStep): Promise<Pruned> {
    return (await this.#request({ kind: 'prune', ...step })) as Pruned;
  }

  /** Writes what was taken, as far as the time goes. */
  async close(deadline: Deadline): Promise<void> {
    if (this.#state === 'closed') return;
    const wasFailing = this.#state === 'failing';
    this.#cancelAnchor?.();
    this.#state = 'closing';
    const { promise: late, resolve: giveUp } = Promise.withResolvers<void>();
    const cancel = this.#deps.clock.after(deadline.remainingMs(), giveUp);
    if (!wasFailing) {
      const { promise: drained, resolve } = Promise.withResolvers<void>();
      this.#onDrained = resolve;
      this.#flush();
      await Promise.race([drained, late]);
      if (this.#cancelAnchor !== undefined) await Promise.race([this.#anchor(), late]);
    }
    this.#state = 'closed';
    for (const { reject } of [...this.#sent, ...this.#waiting]) {
      reject(new AppError('shutting_down'));
    }
    this.#thread?.postMessage({ kind: 'close' } satisfies LedgerRequest);
    await Promise.race([this.#exited, late]).finally(cancel);
  }

  #flush(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    if (this.#sent.length > 0) return;
    if (this.#waiting.length === 0) {
      this.#onDrained?.();
      return;
    }
    this.#sent = this.#waiting.splice(0, BATCH_ENTRIES);
    this.#batch += 1;
    this.#send();
  }

  #send(): void {
    const entries = this.#sent.map(({ entry }) => entry);
    const now = this.#deps.clock.now();
    const batch = { kind: 'batch', run: this.#run, batch: this.#batch, entries, now } as const;
    this.#request(batch).then(
      () => this.#written(),
      (error: unknown) => this.#failed(error),
    );
  }

  #written(): void {
    if (this.#state === 'failing') {
      this.#state = 'open';
      this.#deps.log.event('ledger_recovered', {});
    }
    const sent = this.#sent;
    this.#sent = [];
    for (const { resolve } of sent) resolve();
    if (this.#waiting.length > 0 || this.#onDrained !== undefined) this.#flush();
  }

  /** It is tried until it is written. */
  #failed(error: unknown): void {
    if (this.#state === 'closed') return;
    if (this.#state === 'open') {
      this.#state = 'failing';
      const pending = this.#waiting.length + this.#sent.length;
      this.#deps.log.event('ledger_failed', { pending, error });
    }
    this.#deps.clock.after(RETRY_MS, () => {
      if (this.#state !== 'closed') this.#send();
    });
  }

  #anchorLater(): void {
    this.#cancelAnchor = this.#deps.clock.after(ANCHOR_MS, () => void this.#anchor());
  }

  /** Never rejects. */
  async #anchor(): Promise<void> {
    try {
      await this.#request({ kind: 'anchor', now: this.#deps.clock.now() });
      this.#unanchoredSince = undefined;
    } catch (error) {
      if (this.#state !== 'closed') this.#anchorFailed(error);
    }
    if (this.#state === 'open' || this.#state === 'failing') this.#anchorLater();
  }

  /** Told once, until it succeeds. */
  #anchorFailed(error: unknown): void {
    const { clock, log } = this.#deps;
    log.event('anchor_failed', { error });
    this.#unanchoredSince ??= new Date(clock.now()).toISOString();
    const key = `${ANCHORS_CHAIN} ${this.#unanchoredSince}`;
    this.#tell(ANCHORS_CHAIN, key, 'the heads of the chains could not be signed and anchored');
  }

  async #request(request: Sendable): Promise<unknown> {
    if (this.#state === 'closed') throw new AppError('shutting_down');
    this.#ready ??= this.#spawn();
    await this.#ready;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const seq = this.#calls.add({ resolve, reject });
    must(this.#thread, 'it was started').postMessage({ ...request, seq });
    return promise;
  }

  #spawn(): Promise<void> {
    const ready = Promise.withResolvers<void>();
    const exited = Promise.withResolvers<void>();
    this.#exited = exited.promise;
    const thread = new Worker(this.#entry, {
      workerData: { file: this.#file, auditSeed: this.#auditSeed } satisfies LedgerThreadData,
      env: compileCacheEnvironment(),
      execArgv: [],
    });
    this.#thread = thread;
    let failure: unknown;
    thread.on('message', (message: LedgerMessage) => {
      if (message.kind === 'ready') ready.resolve();
      else if (message.kind === 'broken') this.#tellBroken(message.broken);
      else if (message.kind === 'refused') {
        const { locked, error } = message;
        ready.reject(locked ? new InUse(this.#file, 'coordinator', { cause: error }) : error);
        this.#ended(thread);
        thread.postMessage({ kind: 'close' } satisfies LedgerRequest);
      } else this.#settle(message);
    });
    thread.on('error', (error) => {
      failure = error;
    });
    thread.on('exit', (code) => {
      const error = failure ?? new Error(`the ledger's thread exited with code ${code}`);
      ready.reject(error);
      if (this.#ended(thread)) {
        for (const { reject } of this.#calls.takeWhere(() => true)) reject(error as Error);
      }
      exited.resolve();
    });
    return ready.promise;
  }

  /** The next request starts another one. False when that has been said. */
  #ended(thread: Worker): boolean {
    if (this.#thread !== thread) return false;
    this.#thread = undefined;
    this.#ready = undefined;
    return true;
  }

  #tellBroken(broken: readonly BrokenChain[]): void {
    for (const found of broken) {
      this.#deps.log.event('audit_broken', { ...found });
      const { chain, reason, sequence, end } = found;
      this.#tell(chain, `${chain} ${reason} ${sequence} ${end}`, BROKEN_TEXTS[reason]);
    }
  }

  #tell(chain: string, key: string, reason: string): void {
    const clientId = isId('cl_', chain) ? (chain as ClientId) : null;
    this.#deps.tell({ type: 'audit.failed', clientId, key, data: { chain, reason } });
  }

  #settle(message: Extract<LedgerMessage, { seq: number }>): void {
    const call = must(this.#calls.take(message.seq), 'an answer has its question');
    if (message.kind === 'failed') call.reject(message.error);
    else call.resolve(message.answer);
  }
}

type WithoutSeq<T> = T extends unknown ? Omit<T, 'seq'> : never;
type Sendable = WithoutSeq<Exclude<LedgerRequest, { kind: 'close' }>>;
