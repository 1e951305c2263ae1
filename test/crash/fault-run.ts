/**
 * One life of a worker's shards on a disk that fails: a plan, each action of which may be refused,
 * looks at what is there after each refusal, and the way back when the disk is well again.
 */
import assert from 'node:assert/strict';
import { must } from '../../shared/base/assert.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { Shard } from '../../worker/shard/shard.ts';
import { describe, endingOf, ShardLedger } from './ledger.ts';
import type { Marks } from './marks.ts';
import { checkPoints } from './shard-check.ts';
import { type Action, DIMENSION, type ShardPlan, shardIdOf } from './shard-plan.ts';
import { inTime, ShardWorker, type Threads, warmShard } from './shard-worker.ts';

const ROWS_MAX = 1_000;
export const NEW_IDS = [500, 501, 502];

export interface FaultCounts {
  acknowledged: number;
  /** What was not, by kind and code: `delete: unavailable`. */
  refused: Record<string, number>;
}

export class FaultRun {
  readonly #plan: ShardPlan;
  readonly #marks: Marks;
  readonly #counts: FaultCounts;
  readonly #worker: ShardWorker;
  readonly #ledgers: ShardLedger[];
  /** Shards whose creation was acknowledged, and whose drop has not begun. */
  readonly #there = new Set<number>();
  readonly #versions: number[];
  #next = 0;
  #wasRefused = false;
  #wasReached = false;
  /** Whether a shard whose last write ended badly can not be expected to be level with its rows. */
  #isFaulty: boolean;
  readonly #dies: boolean;

  constructor(
    dataDir: string,
    parts: {
      plan: ShardPlan;
      marks: Marks;
      counts: FaultCounts;
      staysFaulty: boolean;
      dies: boolean;
      threads: Threads;
    },
  ) {
    this.#worker = new ShardWorker(dataDir, parts.threads);
    this.#plan = parts.plan;
    this.#marks = parts.marks;
    this.#counts = parts.counts;
    this.#isFaulty = parts.staysFaulty;
    this.#dies = parts.dies;
    this.#ledgers = Array.from({ length: parts.plan.shards }, () => new ShardLedger());
    this.#versions = this.#ledgers.map(() => 0);
  }

  start(): Promise<void> {
    return this.#worker.open();
  }

  async doPlan(): Promise<void> {
    for (const step of this.#plan.steps) {
      await Promise.all(step.map((action) => this.#perform(action)));
      if (this.#wasRefused) await this.#lookAtAll();
      this.#wasRefused = false;
    }
  }

  /**
   * The disk becomes well again: everything goes on, and nothing comes to light that was not there.
   * Whether the call that was to fail has come.
   */
  async end(): Promise<boolean> {
    this.#heal();
    this.#isFaulty = false;
    for (const shard of this.#ledgers.keys()) {
      if (!this.#there.has(shard)) {
        // A drop that was refused is repeated, and so is a creation.
        await this.#must({ kind: 'drop', shard });
        this.#ledgers[shard] = new ShardLedger();
        this.#marks.say({ dropped: shard });
        await this.#must({ kind: 'create', shard });
        this.#versions[shard] = 0;
      }
      await this.#must(this.#write(shard, { kind: 'upsert', ids: NEW_IDS, round: 1 }));
      await this.#must(this.#write(shard, { kind: 'delete', ids: NEW_IDS.slice(1) }));
    }
    await this.#lookAtAll();
    await this.#worker.close(true);
    await this.#worker.open();
    await this.#lookAtAll();
    for (const shard of this.#ledgers.keys()) await this.#must({ kind: 'drop', shard });
    await this.#worker.close(true);
    return this.#wasReached;
  }

  #write(shard: number, write: Extract<Action, { kind: 'write' }>['write']): Action {
    return { kind: 'write', shard, version: 1 + must(this.#versions[shard], 'it has one'), write };
  }

  async #must(action: Action): Promise<void> {
    const code = await this.#perform(action);
    assert.equal(code, undefined, `on a disk that is well, ${JSON.stringify(action)} succeeds`);
  }

  /** The code of the error, if it was refused. */
  async #perform(action: Action): Promise<string | undefined> {
    if (action.kind === 'restart') return this.#restart();
    const { shard } = action;
    const number = this.#next;
    this.#next += 1;
    const ledger = must(this.#ledgers[shard], 'the plan has it');
    if (action.kind === 'write') {
      ledger.began(number, action.write);
      this.#versions[shard] = action.version;
    }
    if (action.kind === 'drop') this.#there.delete(shard);
    this.#marks.say({ began: number, action });
    const code = await this.#try(action);
    if (code === undefined) {
      this.#marks.say({ acknowledged: number });
      this.#counts.acknowledged += 1;
      if (action.kind === 'write') ledger.ended(number, 'done');
      if (action.kind === 'create') this.#there.add(shard);
    } else {
      this.#marks.say({ refused: number, code });
      this.#countRefused(action.kind === 'write' ? action.write.kind : action.kind, code);
      if (action.kind === 'write') ledger.ended(number, endingOf(code));
      if (action.kind === 'write' && this.#dies) process.kill(process.pid, 'SIGKILL');
      this.#wasRefused = true;
    }
    return code;
  }

  async #try(action: Action): Promise<string | undefined> {
    try {
      await this.#worker.perform(action);
      return undefined;
    } catch (error) {
      if (!(error instanceof AppError) || error.code === 'internal') throw error;
      return error.code;
    }
  }

  /** A process that can not start on such a disk is started again, until it can. */
  async #restart(): Promise<undefined> {
    await this.#worker.close(true);
    try {
      await this.#worker.open();
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : 'none';
      if (!['EIO', 'ENOSPC'].includes(code)) throw error;
      this.#countRefused('restart', code);
      await this.#worker.close(false);
      this.#heal();
      await this.#worker.open();
    }
    await this.#lookAtAll();
  }

  #countRefused(kind: string, code: string): void {
    const ending = `${kind}: ${code}`;
    this.#counts.refused[ending] = 1 + (this.#counts.refused[ending] ?? 0);
  }

  #heal(): void {
    if (this.#marks.order('heal')) this.#wasReached = true;
  }

  async #lookAtAll(): Promise<void> {
    for (const shard of this.#there) await this.#lookAt(shard);
  }

  /** What is cold can not be brought back to such a disk: it is, when the disk lets it. */
  async #warm(number: number): Promise<Shard> {
    const { registry } = this.#worker;
    try {
      return await warmShard(registry, shardIdOf(number));
    } catch (error) {
      const { code } = error as AppError;
      if (code !== 'unavailable' && code !== 'insufficient_storage') throw error;
      this.#countRefused('thaw', code);
      this.#heal();
      return warmShard(registry, shardIdOf(number));
    }
  }

  async #lookAt(number: number): Promise<void> {
    const shard = await this.#warm(number);
    // Catching up, which a write that ended badly leads to, has ended then.
    await shard.idle();
    const saw = await describeShard(shard);
    const ledger = must(this.#ledgers[number], 'the plan has it');
    const points = ledger.saw(saw);
    // While the disk fails, the log can not be settled: what may have happened may yet come to light.
    if (this.#isFaulty) return;
    this.#marks.say({ saw, shard: number });
    ledger.hold(saw);
    await checkPoints(shard, points);
  }
}

/** The rows that a client sees, as `ledger.ts` describes them. */
export async function describeShard(shard: Shard): Promise<string> {
  const view = { payload: { kind: 'all' as const }, withVector: true };
  const { body, vectors } = await shard.reads.scroll({ ...view, limit: ROWS_MAX }, inTime());
  const { ids, payloads } = body.records;
  return describe(
    ids.map((id, i) => {
      const payload = JSON.parse(Buffer.from(payloads?.[i] ?? []).toString());
      const vector = vectors.slice(i * DIMENSION, (i + 1) * DIMENSION);
      return { id: Number(id), payload, vector };
    }),
  );
}
