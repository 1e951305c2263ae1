/**
 * The two ways to answer: a walk of the graph, and a scan of codes. Both leave candidates in
 * `pool2`, whose exact scores the host then asks for. A filter is a bitmap over labels; a walk goes
 * through everything (and through the dead) and collects what is live and allowed.
 */
import { maybeWithin, nearnessMany, padList } from './codes';
import { queryOfFloats } from './encode';
import { exact1, exact2, touchRaw } from './exact';
import {
  LIVE_AT,
  NONE,
  chosen as held,
  codedMetric,
  codesQ0,
  factor,
  filterBits,
  isPlaced,
  labelMap,
  labelOf,
  listNear,
  metric,
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

/** Exact scores that tell how far the codes are off. */
const SAMPLE: u32 = 12;

/** Slots of a scan that are listed before they are compared. */
const CHUNK: u32 = 2048;
/** Those of them whose second planes are compared at a time. */
const HELD: u32 = 8;

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

/** Cuts the filter down to the labels in `liveBits`; how many are left. */
export function allowLive(filterWords: u32): u32 {
  let count: u64 = 0;
  for (let at: usize = 0; at < <usize>(filterWords << 2); at += 8) {
    const both = load<u64>(filterBits + at) & load<u64>(filterBits + at, LIVE_AT);
    store<u64>(filterBits + at, both);
    count += popcnt<u64>(both);
  }
  return <u32>count;
}

/** Compares the codes of `count` slots of `held`. Of slots that may hold no live point (`all`),
 * only those that are near are looked up. */
function takeHeld(count: u32, take: u32, all: bool): void {
  nearnessMany(codesQ0, held, count, listNear);
  for (let at: u32 = 0; at < count; at += 1) {
    const slot = load<u32>(held + (<usize>at << 2));
    const entry = entryOf(load<f32>(listNear + (<usize>at << 2)), slot);
    if (taken == take && entry < entryAt(pool2, taken - 1)) continue;
    if (all && labelOf(slot) == NONE) continue;
    insertAt(pool2, taken, take, entry);
    if (taken < take) taken += 1;
  }
}

/**
 * Scans the slots of a list. Few are near enough by their first plane, so they are held until there
 * are some. Nothing is read ahead: rows of a list depend on nothing, so the processor itself has
 * several in hand (26 % faster than with touches).
 */
function scanList(slots: usize, some: u32, take: u32, all: bool): void {
  if (some == 0) return;
  padList(slots, some);
  let count: u32 = 0;
  let worst = worstTaken(take);
  for (let at: u32 = 0; at < some; at += 4) {
    const four = slots + (<usize>at << 2);
    let lanes = maybeWithin(codesQ0, four, some - at, worst);
    if (lanes == 0) continue;
    for (; lanes != 0; lanes &= lanes - 1) {
      store<u32>(held + (<usize>count << 2), load<u32>(four + (<usize>ctz(lanes) << 2)));
      count += 1;
    }
    if (count < HELD) continue;
    takeHeld(count, take, all);
    worst = worstTaken(take);
    count = 0;
  }
  takeHeld(count, take, all);
}

/** What a candidate has to reach. */
@inline
function worstTaken(take: u32): f32 {
  return taken == take ? nearIn(entryAt(pool2, taken - 1)) : -Infinity;
}

/** Scans `count` slots of `slotList`. */
export function scanSlots(count: u32, take: u32): void {
  scanList(slotList, count, take, false);
}

/** Scans the points whose labels are in the filter, all of them live. */
export function scanLabels(filterWords: u32, take: u32): void {
  let count: u32 = 0;
  // Two words at a time, and always four bits: what costs is that nobody foresees how many there
  // are.
  for (let at: u32 = 0; at < filterWords; at += 2) {
    const first = labelMap + (<usize>at << 7);
    let bits = load<u64>(filterBits + (<usize>at << 2));
    const end = count + <u32>popcnt<u64>(bits);
    for (; count < end; count += 4) {
      const to = slotList + (<usize>count << 2);
      store<u32>(to, load<u32>(first + (<usize>ctz(bits) << 2)) - 1);
      bits &= bits - 1;
      store<u32>(to, load<u32>(first + (<usize>ctz(bits) << 2)) - 1, 4);
      bits &= bits - 1;
      store<u32>(to, load<u32>(first + (<usize>ctz(bits) << 2)) - 1, 8);
      bits &= bits - 1;
      store<u32>(to, load<u32>(first + (<usize>ctz(bits) << 2)) - 1, 12);
      bits &= bits - 1;
    }
    count = end;
    if (count < CHUNK) continue;
    scanList(slotList, count, take, false);
    count = 0;
  }
  scanList(slotList, count, take, false);
}

/** Scans the live and allowed slots of a range. */
export function scanRange(from: u32, to: u32, take: u32, filterWords: u32): void {
  const all = filterWords == NONE;
  let count: u32 = 0;
  for (let slot = from; slot < to; slot += 1) {
    if (!all && !isAllowed(labelOf(slot), filterWords)) continue;
    store<u32>(slotList + (<usize>count << 2), slot);
    count += 1;
    if (count < CHUNK) continue;
    scanList(slotList, count, take, all);
    count = 0;
  }
  scanList(slotList, count, take, all);
}

/**
 * Nearness and label of what is taken, as far as it may be among the `k` nearest; how many. Exact
 * where there are floats to tell. How far codes are off is seen on the first: what they say of the
 * rest is lifted by the most they were short of the truth, and half of the range of their errors
 * more.
 */
export function finish(k: u32): u32 {
  const sample = max<u32>(k, SAMPLE);
  let worst: f64 = Infinity;
  let least: f64 = Infinity;
  let most: f64 = -Infinity;
  const first: u32 = rawBytes == 0 ? 0 : min<u32>(sample, taken);
  for (let at: u32 = 0; at < first; at += 1) touchRaw(slotIn(entryAt(pool2, at)));
  for (let at: u32 = 0; at < first; at += 2) {
    const other = entryAt(pool2, min<u32>(at + 1, first - 1));
    exact2(queryFloats, slotIn(entryAt(pool2, at)), slotIn(other), resultNear + (<usize>at << 3));
  }
  for (let at: u32 = 0; at < taken; at += 1) {
    const entry = entryAt(pool2, at);
    let near = <f64>nearIn(entry);
    if (codedMetric == metric) near /= <f64>factor * <f64>factor;
    // -|a - b|^2 of unit vectors, as their product.
    else near = 1 + near * 0.5;
    if (rawBytes != 0 && at >= sample && near + most + (most - least) * 0.5 < worst) return at;
    let exact = near;
    if (at < first) exact = load<f64>(resultNear + (<usize>at << 3));
    else if (rawBytes != 0) exact = exact1(queryFloats, slotIn(entry));
    store<f64>(resultNear + (<usize>at << 3), exact);
    store<u32>(resultLabels + (<usize>at << 2), labelOf(slotIn(entry)));
    if (rawBytes == 0) continue;
    if (at < k) worst = min<f64>(worst, exact);
    least = min<f64>(least, exact - near);
    most = max<f64>(most, exact - near);
  }
  return taken;
}

/** Exact nearness of `count` slots of `slotList`, into the results. */
export function exactSlots(count: u32): void {
  for (let at: u32 = 0; at < count; at += 2) {
    const slot = load<u32>(slotList + (<usize>at << 2));
    const other = load<u32>(slotList + (<usize>min<u32>(at + 1, count - 1) << 2));
    exact2(queryFloats, slot, other, resultNear + (<usize>at << 3));
  }
}
