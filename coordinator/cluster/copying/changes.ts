/**
 * The changes of a shard since a version, page by page, as whoever copies them wants them.
 *
 *   changes-read --page--> caller hands it on --> rest, unless writes are paused --> changes-read ...
 *
 * What changes while they are read is newer than `version`, and is what the next reading begins with:
 * pages leave it out, or they would follow what is written.
 */
import type { Deadline } from '../../../shared/base/deadline.ts';
import type { ShardId, WorkerId } from '../../../shared/base/ids.ts';
import type { ChangesCursor } from '../../../shared/protocol/messages/changes-read.ts';
import type { Reply, WithVectors } from '../../../shared/protocol/messages.ts';
import { onceAfter } from '../../../shared/protocol/once.ts';
import type { Page } from '../../../shared/protocol/page.ts';
import type { PageLink } from './page-link.ts';

type Place = { shardId: ShardId; workerId: WorkerId };
type ChangesRead = WithVectors<Reply<'changes-read'>>;

export interface Wanted {
  /** What is not newer is left out. */
  since: number;
  /** What is newer may still be undone: it comes again with the next reading. */
  settled: number;
  /** Writes are paused until then: there are no rests, and each page has to come until then. */
  paused?: Deadline | undefined;
}

export interface ChangesPage {
  page: Page;
  vectors: Float32Array;
  floor: number;
  /** With the last page, everything up to this version has come. */
  version: number;
  /** Rows and removed ids of the page. */
  rows: number;
  isLast: boolean;
  /** The source does not know any more what was deleted since then: the page is nothing, and the last. */
  tooFar: boolean;
}

/** Throws what the worker answers. */
export async function* changesSince(
  pages: PageLink,
  at: Place,
  { since, settled, paused }: Wanted,
): AsyncIterable<ChangesPage> {
  let cursor: ChangesCursor | null = null;
  let upTo: number | undefined;
  for (;;) {
    const startMs = pages.nowMs;
    const wanted = { since, cursor, ...(upTo !== undefined && { upTo }) };
    const read: ChangesRead = await pages.ask(at, 'changes-read', wanted, undefined, paused);
    const { page, next, tooFar, floor } = read.body;
    upTo ??= read.body.version;
    const version = Math.max(since, Math.min(upTo, settled));
    const rows = page.ids.length + page.removedIds.length;
    yield { page, vectors: read.vectors, floor, version, rows, isLast: next === null, tooFar };
    if (next === null || tooFar) return;
    cursor = next;
    if (paused === undefined) await pages.restSince(startMs);
  }
}

/** Everything that the shard knows of writes that take effect once; there are no rows in it. */
export async function* onceRowsOf(
  pages: PageLink,
  at: Place,
): AsyncIterable<Pick<ChangesPage, 'page' | 'vectors'>> {
  let cursor: ChangesCursor | null = { kind: 'once', after: onceAfter(0) };
  while (cursor !== null) {
    const startMs = pages.nowMs;
    const read: ChangesRead = await pages.ask(at, 'changes-read', { since: 0, cursor });
    yield { page: read.body.page, vectors: read.vectors };
    cursor = read.body.next;
    if (cursor !== null) await pages.restSince(startMs);
  }
}
