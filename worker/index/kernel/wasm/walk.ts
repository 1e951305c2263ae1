/**
 * Walking the graph: best first on one level (Malkov & Yashunin 2018, algorithm 2), greedily down
 * the upper levels. Several candidates are expanded at once and all their unvisited neighbours are
 * touched before the first product is computed, so that cache misses overlap. A touch only helps
 * beside others: the processor waits for it as soon as a few hundred instructions stand behind it.
 */
import {
  lanesWithin,
  nearness1,
  nearness4,
  nearnessMany,
  sift,
  touchCoarse,
  touchFine,
} from './codes';
import {
  NONE,
  W_SLOTS,
  capacityOf,
  chosen,
  countOf,
  entryPoint,
  levelIn,
  linksOf,
  listNear,
  listSlots,
  pool,
  visited,
  word,
} from './layout';
import { entryAt, entryOf, insertAt, nearIn, slotIn } from './pool';

/** Of nobody knows which search before: the first one wipes. */
let tag: u32 = 255;
export let poolSize: u32 = 0;
let linksSeen: u32 = 0;
/** Candidates expanded at once: the same recall with a smaller `ef`, in less time. */
const AT_ONCE: u32 = 3;

/** A fresh set of visited slots: a new tag, and every 255 searches all tags are wiped. */
export function forgetVisited(): void {
  tag += 1;
  if (tag < 256) return;
  tag = 1;
  memory.fill(visited, 0, word(W_SLOTS));
}

/** Marks a slot; whether it was new. */
@inline
export function visit(slot: u32): bool {
  const address = visited + slot;
  const fresh = load<u8>(address) != <u8>tag;
  store<u8>(address, <u8>tag);
  return fresh;
}

/** Gathers the unvisited neighbours of a slot into `listSlots`, behind the `found` there are. */
@inline
function gather(slot: u32, level: u32, found: u32): u32 {
  const count = countOf(slot, level);
  const links = linksOf(slot, level);
  for (let at: u32 = 0; at < count; at += 1) {
    // Written in any case: whether a neighbour is new is what no branch predictor knows.
    const neighbour = load<u32>(links + (<usize>at << 2));
    store<u32>(listSlots + (<usize>found << 2), neighbour);
    found += <u32>visit(neighbour);
  }
  return found;
}

/** Reads what a node's links stand on, before they are needed. */
@inline
function touchLinks(slot: u32, level: u32): void {
  const links = linksOf(slot, level);
  const last = links + (<usize>capacityOf(level) << 2) - 1;
  linksSeen = load<u8>(links - 4) ^ load<u8>(links + 60) ^ load<u8>(last);
}

/** Fills `pool` with up to `ef` of the nearest to the query that are reached from `start`. */
export function walkLevel(query: usize, start: u32, level: u32, ef: u32): void {
  forgetVisited();
  visit(start);
  store<i64>(pool, entryOf(nearness1(query, start), start));
  let size: u32 = 1;
  let next: u32 = 0;
  let worst: i64 = i64.MIN_VALUE;
  let worstNear: f32 = -Infinity;
  for (;;) {
    let expanded: u32 = 0;
    for (; next < size && expanded < AT_ONCE; next += 1) {
      const entry = entryAt(pool, next);
      if (entry & 1) continue;
      store<i64>(pool + (<usize>next << 3), entry | 1);
      touchLinks(slotIn(entry), level);
      store<u32>(chosen + (<usize>expanded << 2), slotIn(entry));
      expanded += 1;
    }
    if (expanded == 0) break;
    let found: u32 = 0;
    for (let at: u32 = 0; at < expanded; at += 1) {
      found = gather(load<u32>(chosen + (<usize>at << 2)), level, found);
    }
    touchCoarse(listSlots, found);
    for (let at = next; at < min<u32>(size, next + AT_ONCE); at += 1) {
      touchLinks(slotIn(entryAt(pool, at)), level);
    }
    found = sift(query, listSlots, found, worstNear);
    touchFine(listSlots, found);
    for (let at: u32 = 0; at < found; at += 4) {
      const slots = listSlots + (<usize>at << 2);
      const near = nearness4(query, slots, found - at);
      let lanes = lanesWithin(near, worstNear, found - at);
      if (lanes == 0) continue;
      v128.store(listNear, near);
      for (; lanes != 0; lanes &= lanes - 1) {
        const lane = <usize>ctz(lanes) << 2;
        const made = entryOf(load<f32>(listNear + lane), load<u32>(slots + lane));
        if (made < worst) continue;
        const place = insertAt(pool, size, ef, made);
        if (size < ef) size += 1;
        if (size == ef) {
          worst = entryAt(pool, size - 1);
          worstNear = nearIn(worst);
        }
        next = min<u32>(next, place);
      }
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
      for (let at: u32 = 0; at < count; at += 1) {
        store<u32>(listSlots + (<usize>at << 2), load<u32>(links + (<usize>at << 2)));
      }
      touchCoarse(listSlots, count);
      const left = sift(query, listSlots, count, best);
      touchFine(listSlots, left);
      nearnessMany(query, listSlots, left, listNear);
      let moved: u32 = NONE;
      for (let at: u32 = 0; at < left; at += 1) {
        const near = load<f32>(listNear + (<usize>at << 2));
        // So that what is not a number ends here: `near <= best` would go round for ever.
        if (!(near > best)) continue;
        best = near;
        moved = load<u32>(listSlots + (<usize>at << 2));
      }
      if (moved == NONE) break;
      current = moved;
    }
  }
  return current;
}
