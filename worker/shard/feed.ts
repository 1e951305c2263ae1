/**
 * What a replica that is behind is given by one that is not: pages of changes, or of a range. A page
 * is read in one turn within the bounds of one read of rows, of what is committed at that moment, so
 * a shard need not be open for it, nor wait for its writes.
 *
 *   changes since v:  points newer than v, by label  ->  removed ids newer than v, by version and id
 *                     ->  writes that take effect once, newer than v, by version and key
 *
 * A point that changes after its page has a newer version, and one that moves to a label that was
 * passed, too; so whoever asks for what is newer than the shard's version at the first page gets them
 * with the next round. When a round finds nothing, that was all.
 */
import type { PointId } from '../../shared/domain/point.ts';
import type { ChangesCursor } from '../../shared/protocol/messages/changes-read.ts';
import type { Reply, Request, WithVectors } from '../../shared/protocol/messages.ts';
import { type OnceMark, type OnceSpan, onceAfter } from '../../shared/protocol/once.ts';
import { sealPage } from '../../shared/protocol/page.ts';
import type { Range } from '../../shared/protocol/schema.ts';
import type { PointRow, PointsReader, Removed } from '../points/points-reader.ts';
import { listsOf } from './range.ts';

const WHOLE = { payload: true, vector: true };
const NO_COLUMNS = { payload: false, vector: false };
/** A reader's own bounds are below that. */
const ROWS_MAX = 1_000;
const REMOVED_MAX = 1_000;
const ONCE_MAX = 1_000;
/** Of some 256 rows each, without their columns. */
const PASSED_STEPS_MAX = 40;

interface Changes {
  rows: PointRow[];
  removed: Removed[];
  once?: OnceSpan;
  next: ChangesCursor | null;
}

const NO_CHANGES: Changes = { rows: [], removed: [], next: null };

/** Answers `changes-read`. */
export function readChanges(
  { since, cursor, upTo }: Request<'changes-read'>,
  reader: PointsReader,
): WithVectors<Reply<'changes-read'>> {
  return reader.snapshot(() => {
    const { version } = reader.stats();
    const floor = reader.tombstoneFloor();
    const tooFar = cursor?.kind !== 'once' && since < floor;
    const changes = tooFar ? NO_CHANGES : changesAt({ since, upTo }, cursor, reader);
    const { lists, vectors } = listsOf(changes.rows);
    const once = changes.once && { once: changes.once };
    const page = sealPage({ ...lists, ...removedLists(changes.removed), ...once }, vectors);
    return { body: { page, next: changes.next, version, floor, tooFar }, vectors };
  });
}

function changesAt(
  { since, upTo }: { since: number; upTo: number | undefined },
  cursor: ChangesCursor | null,
  reader: PointsReader,
): Changes {
  if (cursor?.kind === 'once') return onceAt(cursor.after, [], reader);
  if (cursor?.kind !== 'removed') {
    const rows = reader.changedSince(since, cursor?.afterLabel ?? -1, ROWS_MAX, upTo);
    const last = rows.at(-1);
    if (last !== undefined) {
      return { rows, removed: [], next: { kind: 'points', afterLabel: last.label } };
    }
  }
  const after = cursor?.kind === 'removed' ? cursor : undefined;
  const removed = reader.removedSince(since, after, REMOVED_MAX);
  const last = removed.at(-1);
  const isLast = last === undefined || removed.length < REMOVED_MAX;
  if (isLast) return onceAt(onceAfter(since), removed, reader);
  return { rows: [], removed, next: { kind: 'removed', ...last } };
}

function onceAt(after: OnceMark, removed: Removed[], reader: PointsReader): Changes {
  const rows = reader.onceAfter(after, ONCE_MAX);
  const last = rows.at(-1);
  const isLast = last === undefined || rows.length < ONCE_MAX;
  const until = isLast ? null : { version: last.version, key: last.key };
  const next = until && ({ kind: 'once', after: until } as const);
  return { rows: [], removed, once: { after, until, rows }, next };
}

function removedLists(removed: readonly Removed[]) {
  return {
    removedIds: removed.map(({ id }) => id),
    removedVersions: removed.map(({ version }) => version),
  };
}

/** Answers `range-read`. */
export function readRange(
  { range, upTo = Number.MAX_SAFE_INTEGER }: Request<'range-read'>,
  reader: PointsReader,
): WithVectors<Reply<'range-read'>> {
  return reader.snapshot(() => {
    const { version } = reader.stats();
    const read = reader.range(range, ROWS_MAX, WHOLE);
    const rows = read.filter((row) => row.version <= upTo);
    let last = read.at(-1)?.id;
    if (rows.length === 0 && last !== undefined) last = passNewer(range, last, { upTo, reader });
    const rest = last === undefined ? [] : reader.range({ ...range, after: last }, 1, NO_COLUMNS);
    const { lists, vectors } = listsOf(rows);
    const page = sealPage({ ...lists, ...removedLists([]) }, vectors);
    return { body: { page, next: rest[0]?.id ?? null, version }, vectors };
  });
}

/**
 * The last of the rows after a place that are left out; bounded, so that it is some milliseconds. What is
 * written behind the last range while it is read must not come faster than it is passed.
 */
function passNewer(
  range: Range,
  from: PointId,
  { upTo, reader }: { upTo: number; reader: PointsReader },
): PointId {
  let after = from;
  for (let step = 0; step < PASSED_STEPS_MAX; step += 1) {
    const rows = reader.range({ ...range, after }, ROWS_MAX, NO_COLUMNS);
    const wanted = rows.findIndex((row) => row.version <= upTo);
    const passed = wanted < 0 ? rows : rows.slice(0, wanted);
    after = passed.at(-1)?.id ?? after;
    if (wanted >= 0 || rows.length === 0) break;
  }
  return after;
}
