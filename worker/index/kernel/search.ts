/**
 * The two ways to answer: a walk of the graph, and a scan of codes. Both leave candidates in
 * `pool2`, whose exact scores the host then asks for. A filter is a bitmap over labels; a walk goes
 * through everything (and through the dead) and collects what is live and allowed.
 */
import { nearnessMany, queryOfFloats, touch } from './codes';
import { exact1 } from './exact';
import {
  NONE,
  codesQ0,
  filterBits,
  isPlaced,
  labelOf,
  listNear,
  listSlots,
  pool,
  pool2,
  queryFloats,
  rawBytes,
  resultLabels,
  resultNear,
  slotList,
} from './layout';
import { entryAt, entryOf, insertAt, nearIn, slotIn } from './pool';
import { descend, poolSize, walkLevel } from './walk';

let taken: u32 = 0;

@inline
function isAllowed(label: u32, filterWords: u32): bool {
  if (label == NONE) return false;
  // No filter at all is NONE words, an empty filter is none.
  if (filterWords == NONE) return true;
  const at = label >> 5;
  if (at >= filterWords) return false;
  return ((load<u32>(filterBits + (<usize>at << 2)) >> (label & 31)) & 1) != 0;
}

/** Codes of the query that stands at `queryFloats`; nothing is taken yet. */
export function begin(): void {
  queryOfFloats(codesQ0, queryFloats);
  taken = 0;
}

/** Walks with `ef` candidates and takes up to `take` live and allowed; how many it took. */
export function walk(ef: u32, take: u32, filterWords: u32): u32 {
  walkLevel(codesQ0, descend(codesQ0, 0), 0, ef);
  for (let at: u32 = 0; at < poolSize && taken < take; at += 1) {
    const entry = entryAt(pool, at);
    const slot = slotIn(entry);
    if (!isPlaced(slot) || !isAllowed(labelOf(slot), filterWords)) continue;
    store<i64>(pool2 + (<usize>taken << 3), entry & ~1);
    taken += 1;
  }
  return taken;
}

function scanChunk(slots: usize, count: u32, take: u32): void {
  nearnessMany(codesQ0, slots, count, listNear);
  for (let at: u32 = 0; at < count; at += 1) {
    const near = load<f32>(listNear + (<usize>at << 2));
    const entry = entryOf(near, load<u32>(slots + (<usize>at << 2)));
    if (taken == take && entry < entryAt(pool2, taken - 1)) continue;
    insertAt(pool2, taken, take, entry);
    if (taken < take) taken += 1;
  }
}

/** Scans `count` slots of `slotList`. */
export function scanSlots(count: u32, take: u32): void {
  for (let at: u32 = 0; at < count; at += 8) {
    const some = min<u32>(8, count - at);
    const slots = slotList + (<usize>at << 2);
    // The next eight while these are computed.
    const ahead = min<u32>(count, at + 16);
    for (let next = at + 8; next < ahead; next += 1) {
      touch(load<u32>(slotList + (<usize>next << 2)));
    }
    scanChunk(slots, some, take);
  }
}

/** Scans the live and allowed slots of a range. */
export function scanRange(from: u32, to: u32, take: u32, filterWords: u32): void {
  let count: u32 = 0;
  for (let slot = from; slot < to; slot += 1) {
    if (!isAllowed(labelOf(slot), filterWords)) continue;
    store<u32>(listSlots + (<usize>count << 2), slot);
    count += 1;
    if (count < 16) continue;
    scanChunk(listSlots, count, take);
    count = 0;
  }
  if (count > 0) scanChunk(listSlots, count, take);
}

/** Nearness and label of everything taken; how many. Exact where there are floats to tell. */
export function finish(): u32 {
  for (let at: u32 = 0; at < taken; at += 1) {
    const entry = entryAt(pool2, at);
    const slot = slotIn(entry);
    const near: f64 = rawBytes == 0 ? nearIn(entry) : exact1(queryFloats, slot);
    store<f64>(resultNear + (<usize>at << 3), near);
    store<u32>(resultLabels + (<usize>at << 2), labelOf(slot));
  }
  return taken;
}

/** Exact nearness of `count` slots of `slotList`, into the results. */
export function exactSlots(count: u32): void {
  for (let at: u32 = 0; at < count; at += 1) {
    const slot = load<u32>(slotList + (<usize>at << 2));
    store<f64>(resultNear + (<usize>at << 3), exact1(queryFloats, slot));
  }
}
