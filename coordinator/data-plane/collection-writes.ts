/**
 * Writes to a collection. With several shards each gets its part, all at the same time, and the
 * answer comes when all have ended:
 *
 *   write --> part for shard 0 --> promised, sent, on disk --+
 *         --> part for shard 2 --> promised, sent, on disk --+--> answered
 *
 * A part is a write of its own to quotas and to its shard, done whole or not at all; the parts
 * together are not. What may be half done says so in its error. It is safe to repeat: every write
 * that names its points leaves them the same the second time.
 *
 * Parts whose shards have been replaced by others while they waited have changed nothing. They are
 * divided among those as one write: with a key that takes effect once, a shard takes no second one. A
 * write by filter is sent to all of them; what it has changed already, it changes the same way again.
 */
import { must } from '../../shared/base/assert.ts';
import type { Clock } from '../../shared/base/clock.ts';
import type { Deadline } from '../../shared/base/deadline.ts';
import { InvalidInput } from '../../shared/base/invalid.ts';
import { Slices } from '../../shared/base/slices.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { Work, Written } from '../../shared/protocol/schema.ts';
import { ShardMoved } from '../cluster/replicas/shard-moved.ts';
import type { CollectionRecord } from '../store/collections.ts';
import { type BoundedWrites, changedNothing } from './bounded-writes.ts';
import { joinParts, splitWrite } from './split-write.ts';
import type { Write } from './write.ts';

export interface CollectionWritesDeps {
  /** The record as it is now. Throws `collection_not_found`. */
  current: (record: CollectionRecord) => CollectionRecord;
  bounded: Pick<BoundedWrites, 'send'>;
  clock: Clock;
}

interface Call {
  record: CollectionRecord;
  write: Write;
  deadline: Deadline;
}

/** How a part ended. */
type Outcome = { written: Written } | { error: unknown; changedNothing: boolean };
/** Its shard has moved, and it is still to be done. */
interface Moved {
  /** Ordinal of its shard. */
  moved: number;
}

export class CollectionWrites {
  readonly #deps: CollectionWritesDeps;

  constructor(deps: CollectionWritesDeps) {
    this.#deps = deps;
  }

  /** What all shards together answer, with the highest version. Throws what `BoundedWrites.send` does. */
  async send(call: Call): Promise<Total> {
    const { bounded, current } = this.#deps;
    const [first, ...others] = call.record.shards;
    if (others.length > 0) return this.#sendParts(call);
    const shard = must(first, 'a collection has a shard');
    try {
      return sumOf([await bounded.send({ ...call, shard })]);
    } catch (error) {
      if (!(error instanceof ShardMoved)) throw error;
    }
    return this.send({ ...call, record: current(call.record) });
  }

  async #sendParts(call: Call): Promise<Total> {
    const { write } = call;
    const outcomes = await this.#outcomesOf(call);
    const failed = outcomes.filter((outcome) => 'error' in outcome);
    const written = outcomes.filter((outcome) => 'written' in outcome);
    const [first] = failed;
    if (first === undefined) return sumOf(written.map((outcome) => outcome.written));
    const isUntouched = written.length === 0 && failed.every((outcome) => outcome.changedNothing);
    // One part alone says for itself what may have become of it.
    throw isUntouched || outcomes.length === 1 ? first.error : partlyDone(first.error, write);
  }

  /** Of all parts, when all have ended. */
  async #outcomesOf({ record, write, deadline }: Call): Promise<Outcome[]> {
    const { bounded, current, clock } = this.#deps;
    const { shards } = record;
    const slices = new Slices(clock);
    const sent: Promise<Outcome | Moved>[] = [];
    for (const { ordinal, write: part } of splitWrite(write, shards.length)) {
      const shard = must(shards[ordinal], 'ordinals count the shards');
      const ended = bounded.send({ record, shard, write: part, deadline }).then(
        (written): Outcome => ({ written }),
        (error: unknown): Outcome | Moved => {
          if (error instanceof ShardMoved) return { moved: ordinal };
          return { error, changedNothing: changedNothing(error, part) };
        },
      );
      sent.push(ended);
      if (slices.due) await slices.rest();
    }
    const outcomes = await Promise.all(sent);
    const done = outcomes.filter((outcome): outcome is Outcome => !('moved' in outcome));
    const moved = outcomes.flatMap((outcome) => ('moved' in outcome ? outcome.moved : []));
    if (moved.length === 0) return done;
    const rest = joinParts(write, shards.length, new Set(moved));
    const later = await this.#outcomesOf({ record: current(record), write: rest, deadline });
    return [...done, ...later];
  }
}

/** Shards have a digest each, and none together. The version of what was done before is that of then. */
export interface Total extends Omit<Written, 'digest' | 'repeated'> {
  /** All of it had been done before. */
  repeated: boolean;
}

function sumOf(parts: readonly Written[]): Total {
  const repeated = parts.every((part) => part.repeated !== undefined);
  const total = { version: 0, points: 0, bytes: 0, changed: 0, repeated };
  const work: Work = { examined: 0, changed: 0 };
  for (const part of parts) {
    total.version = Math.max(total.version, part.repeated ?? part.version);
    total.points += part.points;
    total.bytes += part.bytes;
    work.examined += part.work?.examined ?? 0;
    work.changed += part.work?.changed ?? 0;
    total.changed += part.changed ?? 0;
  }
  return parts.some((part) => part.work !== undefined) ? { ...total, work } : total;
}

const DONE = {
  'points-upsert': 'stored',
  'points-delete': 'deleted',
  'vectors-update': 'changed',
  'payload-update': 'changed',
} as const;

/** The error, with what it can not say by itself: how the other parts ended. */
function partlyDone(error: unknown, { name }: Write): unknown {
  const note = `some of the points may have been ${DONE[name]}`;
  if (error instanceof InvalidInput) {
    return new AppError('invalid_argument', `${error.message}; ${note}`, { cause: error });
  }
  if (!(error instanceof AppError)) return error;
  const { code, message, detail, retryAfterMs } = error;
  return new AppError(code, `${message}; ${note}`, {
    cause: error,
    ...(detail !== undefined && { detail }),
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  });
}
