/**
 * Walking the graph: best first on one level (Malkov & Yashunin 2018, algorithm 2), greedily down
 * the upper levels. All unvisited neighbours of a node are gathered and touched before the first
 * product is computed, so that their cache misses overlap.
 */
import { nearness1, nearnessMany, touch } from './codes';
import {
  NONE,
  W_SLOTS,
  blockBytes,
  blockMask,
  blockOf,
  blockShift,
  blocksAt,
  countOf,
  entryPoint,
  levelIn,
  linksOf,
  listNear,
  listSlots,
  pool,
  visitedAt,
  word,
} from './layout';
import { entryAt, entryOf, insertAt, slotIn } from './pool';

/** Of nobody knows which search before: the first one wipes. */
let tag: u32 = 255;
export let poolSize: u32 = 0;
let linksSeen: u32 = 0;

/** A fresh set of visited slots: a new tag, and every 255 searches all tags are wiped. */
export function forgetVisited(): void {
  tag += 1;
  if (tag < 256) return;
  tag = 1;
  const slots = word(W_SLOTS);
  for (let first: u32 = 0; first < slots; first += blockMask + 1) {
    memory.fill(blockOf(first) + visitedAt, 0, blockMask + 1);
  }
}

/** Marks a slot; whether it was new. */
@inline
export function visit(slot: u32): bool {
  const address = blockOf(slot) + visitedAt + (slot & blockMask);
  if (load<u8>(address) == <u8>tag) return false;
  store<u8>(address, <u8>tag);
  return true;
}

/** Gathers the unvisited neighbours of a slot into `listSlots`. */
@inline
function gather(slot: u32, level: u32): u32 {
  const count = countOf(slot, level);
  const links = linksOf(slot, level);
  let found: u32 = 0;
  for (let at: u32 = 0; at < count; at += 1) {
    const neighbour = load<u32>(links + (<usize>at << 2));
    if (!visit(neighbour)) continue;
    store<u32>(listSlots + (<usize>found << 2), neighbour);
    found += 1;
    touch(neighbour);
  }
  return found;
}

/** Fills `pool` with up to `ef` of the nearest to the query that are reached from `start`. */
export function walkLevel(query: usize, start: u32, level: u32, ef: u32): void {
  forgetVisited();
  visit(start);
  store<i64>(pool, entryOf(nearness1(query, start), start));
  let size: u32 = 1;
  let next: u32 = 0;
  while (next < size) {
    const entry = entryAt(pool, next);
    if (entry & 1) {
      next += 1;
      continue;
    }
    store<i64>(pool + (<usize>next << 3), entry | 1);
    // The likely next node's links are on lines that nobody has read yet.
    if (next + 1 < size) linksSeen = load<u8>(linksOf(slotIn(entryAt(pool, next + 1)), level));
    const found = gather(slotIn(entry), level);
    nearnessMany(query, listSlots, found, listNear);
    let worst: i64 = size < ef ? i64.MIN_VALUE : entryAt(pool, size - 1);
    for (let at: u32 = 0; at < found; at += 1) {
      const near = load<f32>(listNear + (<usize>at << 2));
      const made = entryOf(near, load<u32>(listSlots + (<usize>at << 2)));
      if (made < worst) continue;
      const place = insertAt(pool, size, ef, made);
      if (size < ef) size += 1;
      if (size == ef) worst = entryAt(pool, size - 1);
      if (place < next) next = place;
    }
  }
  poolSize = size;
}

/** From the entry point greedily down to (not into) `level`. */
export function descend(query: usize, level: u32): u32 {
  let current = entryPoint();
  let best = nearness1(query, current);
  for (let on = levelIn(current); on > level; on -= 1) {
    for (;;) {
      const count = countOf(current, on);
      const links = linksOf(current, on);
      for (let at: u32 = 0; at < count; at += 1) touch(load<u32>(links + (<usize>at << 2)));
      nearnessMany(query, links, count, listNear);
      let moved: u32 = NONE;
      for (let at: u32 = 0; at < count; at += 1) {
        const near = load<f32>(listNear + (<usize>at << 2));
        if (near <= best) continue;
        best = near;
        moved = load<u32>(links + (<usize>at << 2));
      }
      if (moved == NONE) break;
      current = moved;
    }
  }
  return current;
}
