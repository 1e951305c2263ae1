/**
 * What a shard may hold after writes some of which were refused, or ended without saying whether they
 * happened.
 *
 *   done       it is there                    refused    it is not there
 *   unknown    one or the other, and the same for whoever reads after the next that is done
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { must } from '../../shared/base/assert.ts';
import type { ErrorCode } from '../../shared/errors/codes.ts';
import { applyWrite, type Points, type Stored, vectorOf, type Write } from './shard-plan.ts';

export type Ending = 'done' | 'refused' | 'unknown';

/** By these a write says that it changed nothing. */
const NOTHING_CHANGED = new Set<ErrorCode>([
  'insufficient_storage',
  'point_not_found',
  'stale_write',
  'unavailable',
]);

/** Throws for an error that a fault of the disk must not become. */
export function endingOf(code: string): Ending {
  if (code === 'write_outcome_unknown') return 'unknown';
  if (NOTHING_CHANGED.has(code as ErrorCode)) return 'refused';
  throw new Error(`a write on a faulty disk ended with ${code}`);
}

interface Started {
  number: number;
  write: Write;
  ending: Ending | undefined;
}

export class ShardLedger {
  /** What was stored after the writes that have ended; different from each other. */
  #candidates: Points[] = [new Map()];
  /** In their order; those whose turn has not come though they have ended too. */
  #started: Started[] = [];

  began(number: number, write: Write): void {
    this.#started.push({ number, write, ending: undefined });
  }

  ended(number: number, ending: Ending): void {
    must(
      this.#started.find((started) => started.number === number),
      'it began',
    ).ending = ending;
    while (this.#started[0]?.ending !== undefined)
      this.#settle(must(this.#started.shift(), 'it was looked at'));
  }

  /** The process died: whatever was under way may have happened. */
  died(): void {
    for (const { number } of this.#started.filter(({ ending }) => ending === undefined)) {
      this.ended(number, 'unknown');
    }
  }

  /** Everything that may be there now, as `describePoints` tells it. */
  possible(): Map<string, Points> {
    let candidates = this.#candidates;
    for (const { write } of this.#started)
      candidates = [...candidates, ...after(candidates, write)];
    return new Map(candidates.map((points) => [describePoints(points), points]));
  }

  /** Throws when it is not possible. */
  saw(description: string): Points {
    const points = this.possible().get(description);
    assert.ok(
      points !== undefined,
      'a reader sees what was acknowledged and nothing that was refused',
    );
    return points;
  }

  /** From now on it is known which of the writes that have ended happened. */
  hold(description: string): void {
    const held = this.#candidates.filter((points) => describePoints(points) === description);
    assert.ok(held.length > 0, 'what was seen is possible');
    this.#candidates = held;
  }

  #settle({ write, ending }: Started): void {
    if (ending === 'refused') return;
    const changed = after(this.#candidates, write);
    const all = ending === 'done' ? changed : [...this.#candidates, ...changed];
    this.#candidates = [...new Map(all.map((points) => [describePoints(points), points])).values()];
    assert.ok(this.#candidates.length > 0, 'a write is done only where it can be');
  }
}

/** The write done to each state in which it can be. */
function after(candidates: readonly Points[], write: Write): Points[] {
  return candidates.flatMap((points) => {
    const mustExist = write.kind === 'vectors' || write.kind === 'set-payload';
    if (mustExist && !write.ids.every((id) => points.has(id))) return [];
    const changed = new Map(points);
    applyWrite(changed, write);
    return [changed];
  });
}

interface Told {
  id: number;
  payload: Stored['payload'];
  vector: Float32Array;
}

/** The same text for the same points, whatever their order. */
export function describePoints(points: Points): string {
  return describe(
    [...points].map(([id, { payload, vectorRound }]) => {
      return { id, payload, vector: vectorOf(id, vectorRound) };
    }),
  );
}

/** The same for rows as they were read. */
export function describe(rows: readonly Told[]): string {
  const texts = rows.map(({ id, payload: { tag, text, round }, vector }) => {
    const hex = Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString('hex');
    return `${id} ${tag} ${text.length} ${round} ${hex}`;
  });
  return createHash('sha256').update(texts.toSorted().join('\n')).digest('hex');
}
