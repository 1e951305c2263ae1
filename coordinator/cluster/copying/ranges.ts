/**
 * Comparing and copying ranges of ids: those whose digests differ are made the same, whatever is in
 * them. It finds what no version tells of: rows that only one replica has, and damaged ones.
 */
import type { ShardId, WorkerId } from '../../../shared/base/ids.ts';
import type { Reply, Request } from '../../../shared/protocol/messages.ts';
import { onceRowsOf } from './changes.ts';
import type { PageLink } from './page-link.ts';

/** Two workers that hold the same shard. */
export interface Pair {
  shardId: ShardId;
  source: WorkerId;
  target: WorkerId;
}

export type Range = Request<'range-digest'>['range'];
export type RangeDigest = Reply<'range-digest'>;

/** Rows of one range whose digests are compared. */
export const RANGE_ROWS = 4_096;

/**
 * Makes all ranges of the target equal to the source's whose digests differ, but for what is newer than
 * `upTo`. `deep` compares payloads and vectors, not only ids and versions, and has the target count
 * anew what it holds: damage may have changed that, too. How many rows were copied.
 */
export async function levelRanges(
  pages: PageLink,
  { shardId, source, target }: Pair,
  { deep, upTo }: { deep: boolean; upTo: number },
): Promise<number> {
  let rows = 0;
  let from: Range['from'];
  for (;;) {
    const startMs = pages.nowMs;
    const rest = { limit: RANGE_ROWS, deep, upTo };
    const wanted = { range: rangeOf(from, undefined), ...rest };
    const theirs = (await pages.ask({ shardId, workerId: source }, 'range-digest', wanted)).body;
    const range = rangeOf(from, theirs.next ?? undefined);
    const same = { range, ...rest };
    const ours = (await pages.ask({ shardId, workerId: target }, 'range-digest', same)).body;
    const isLast = theirs.next === null;
    const isLevel = ours.next === null && isSameRange(theirs, ours);
    if (!isLevel || (isLast && deep)) {
      const manner = { recount: isLast && deep, upTo };
      rows += await copyRange(pages, { shardId, source, target }, range, manner);
    }
    if (theirs.next === null) return rows;
    from = theirs.next;
    await pages.restSince(startMs);
  }
}

/** Makes a range of the target what it is at the source up to that version. How many rows were copied. */
export async function copyRange(
  pages: PageLink,
  { shardId, source, target }: Pair,
  { from, until }: Range,
  { recount, upTo }: { recount: boolean; upTo?: number },
): Promise<number> {
  let rows = 0;
  let at = from;
  for (;;) {
    const startMs = pages.nowMs;
    const wanted = { range: rangeOf(at, until), ...(upTo !== undefined && { upTo }) };
    const { body, vectors } = await pages.ask({ shardId, workerId: source }, 'range-read', wanted);
    const { page, next } = body;
    const range = rangeOf(at, next ?? until);
    const part = { range, page, lastVersion: 0, recount: next === null && recount };
    await pages.ask({ shardId, workerId: target }, 'range-apply', part, vectors);
    rows += page.ids.length;
    if (next === null) return rows;
    at = next;
    await pages.restSince(startMs);
  }
}

/** Makes all that the target knows of writes that take effect once what the source knows. */
export async function copyOnceRows(
  pages: PageLink,
  { shardId, source, target }: Pair,
): Promise<void> {
  for await (const { page } of onceRowsOf(pages, { shardId, workerId: source })) {
    const changes = { page, floor: 0, lastVersion: 0 };
    await pages.ask({ shardId, workerId: target }, 'changes-apply', changes);
  }
}

export function isSameRange(a: RangeDigest, b: RangeDigest): boolean {
  return a.count === b.count && Buffer.compare(a.digest, b.digest) === 0;
}

export function rangeOf(from: Range['from'], until: Range['until']): Range {
  return { ...(from !== undefined && { from }), ...(until !== undefined && { until }) };
}
