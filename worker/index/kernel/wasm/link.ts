/**
 * Linking a row into the graph (Malkov & Yashunin 2018, algorithms 1 and 4). A slot's level is
 * drawn once, from its number: a point that takes over a freed slot takes over its level, so the
 * upper levels neither thin nor grow when points are replaced, and their lists never move.
 */
import { isPlainNearer, keepPlain, nearness1, nearnessMany } from './codes';
import { queryOfRow } from './encode';
import {
  AT_COUNT,
  AT_LEVEL,
  AT_STATE,
  LEVEL_DRAWN,
  METRIC_COSINE,
  METRIC_DOT,
  METRIC_EUCLID,
  NONE,
  STATE_LINKED,
  blockOf,
  capacityOf,
  chosen,
  codesQ0,
  codesQ1,
  countLinked,
  countOf,
  efConstruct,
  entryPoint,
  labelOf,
  levelIn,
  linksAt,
  linksOf,
  listNear,
  listSlots,
  m,
  m0,
  marksAt,
  centreAt,
  codedMetric,
  pool,
  pool2,
  rowOf,
  seed,
  setCount,
  setEntryPoint,
  setLinks,
  stateOf,
  upperPerBlock,
  upperList,
} from './layout';
import { entryAt, entryOf, insertAt, nearIn, slotIn } from './pool';
import { descend, poolSize, walkLevel } from './walk';

const LEVEL_MAX: u32 = 15;
const EF_MAX: u32 = 16_384;

/** Level of a slot: geometric with ratio 1/m, as far as its block has lists left. */
export function levelOf(slot: u32): u32 {
  const row = rowOf(slot);
  const stored: u32 = load<u8>(row, AT_LEVEL);
  if (stored & LEVEL_DRAWN) return stored & 0x7f;
  let level: u32 = 0;
  let state: u32 = (slot + 1) * 0x9e37_79b1 + seed;
  for (; level < LEVEL_MAX; level += 1) {
    state ^= state >> 16;
    state *= 0x7feb_352d;
    state ^= state >> 15;
    state *= 0x846c_a68b;
    state ^= state >> 16;
    if (state % m != 0) break;
  }
  const usedAt = blockOf(slot) + marksAt;
  const used = load<u32>(usedAt);
  level = min<u32>(level, upperPerBlock - used);
  store<u32>(row + linksAt + (m0 << 2), used);
  store<u32>(usedAt, used + level);
  store<u8>(row, <u8>(level | LEVEL_DRAWN), AT_LEVEL);
  return level;
}

/**
 * How much nearer to a candidate than the base a neighbour must be to hide it, in squared distance:
 * alpha of Subramanya et al. 2019 (DiskANN, algorithm 2). With 1, as in HNSW, lists lack long links
 * and wear out: on real embeddings recall at `ef` 64 fell from .956 to .943 when half of the points
 * were replaced. With 1.1 it rises from .969 to .983, and a search of recall .99 takes half the
 * time; 1.05 to 1.3 do much the same.
 */
const ALPHA: f32 = 1.1;

/** Nearness to a candidate that hides it from a base to which it is `near`. */
@inline
function hidingNearness(near: f32, nearest: f32): f32 {
  return nearest - (nearest - near) / ALPHA;
}

/**
 * Nearness of what is in the same place; `own` is the base's to itself, and `codesQ1` holds the
 * slot. Inner products have no such place, so theirs is what the two had in one direction; around a
 * centre, where all have nearly one direction and one length, half of what both have to themselves.
 */
function nearestOf(own: f32, slot: u32): f32 {
  if (codedMetric == METRIC_EUCLID) return 0;
  if (codedMetric == METRIC_COSINE) return 1;
  if (centreAt != 0) return 0.5 * (own + nearness1(codesQ1, slot));
  return sqrt<f32>(max<f32>(0, own)) * sqrt<f32>(max<f32>(0, nearness1(codesQ1, slot)));
}

/** Nearness to itself of the base that `codesQ0` holds, where `nearestOf` asks for it. */
@inline
export function ownNearness(slot: u32): f32 {
  return codedMetric == METRIC_DOT ? nearness1(codesQ0, slot) : 0;
}

/**
 * Of `size` candidates (sorted, in `from`), those which no nearer chosen one hides from `base`,
 * whose codes `codesQ0` holds. At most `most`, written to `chosen`.
 */
export function choose(base: u32, from: usize, size: u32, most: u32): u32 {
  const own = ownNearness(base);
  let count: u32 = 0;
  for (let at: u32 = 0; at < size && count < most; at += 1) {
    const entry = entryAt(from, at);
    const slot = slotIn(entry);
    queryOfRow(codesQ1, slot);
    const hiding = hidingNearness(nearIn(entry), nearestOf(own, slot));
    if (isPlainNearer(codesQ1, hiding, count)) continue;
    keepPlain(codesQ1, slot, count);
    store<u32>(chosen + (<usize>count << 2), slot);
    count += 1;
  }
  return count;
}

/** Whether one of the `count` slots at `others` hides `slot` from the base to which it is `near`. */
export function isHidden(own: f32, slot: u32, near: f32, others: usize, count: u32): bool {
  if (count == 0) return false;
  queryOfRow(codesQ1, slot);
  const hiding = hidingNearness(near, nearestOf(own, slot));
  for (let at: u32 = 0; at < count; at += 4) {
    const some = min<u32>(4, count - at);
    nearnessMany(codesQ1, others + (<usize>at << 2), some, listNear);
    for (let i: u32 = 0; i < some; i += 1) {
      if (load<f32>(listNear + (<usize>i << 2)) > hiding) return true;
    }
  }
  return false;
}

/** Takes dead candidates and the slot itself out of the pool. */
export function keepLive(self: u32): u32 {
  let kept: u32 = 0;
  for (let at: u32 = 0; at < poolSize; at += 1) {
    const entry = entryAt(pool, at);
    const slot = slotIn(entry);
    if (slot == self || stateOf(slot) != STATE_LINKED) continue;
    store<i64>(pool + (<usize>kept << 3), entry);
    kept += 1;
  }
  return kept;
}

/** Adds the link `to` to a list; a full list keeps what is not hidden. */
function addLink(from: u32, to: u32, level: u32): void {
  const count = countOf(from, level);
  const links = linksOf(from, level);
  const capacity = capacityOf(level);
  if (count < capacity) {
    store<u32>(links + (<usize>count << 2), to);
    setCount(from, level, count + 1);
    return;
  }
  memory.copy(listSlots, links, <usize>count << 2);
  store<u32>(listSlots + (<usize>count << 2), to);
  queryOfRow(codesQ0, from);
  nearnessMany(codesQ0, listSlots, count + 1, listNear);
  for (let at: u32 = 0; at <= count; at += 1) {
    const near = load<f32>(listNear + (<usize>at << 2));
    insertAt(pool2, at, count + 1, entryOf(near, load<u32>(listSlots + (<usize>at << 2))));
  }
  const kept = choose(from, pool2, count + 1, capacity);
  setLinks(links, chosen, kept);
  setCount(from, level, kept);
}

/** Adds the nearest of the hidden behind the `count` chosen, up to `most`; how many there are. */
function fill(from: usize, size: u32, count: u32, most: u32): u32 {
  const picked = count;
  for (let at: u32 = 0; at < size && count < most; at += 1) {
    const slot = slotIn(entryAt(from, at));
    let known = false;
    for (let i: u32 = 0; i < picked; i += 1) {
      known = known || load<u32>(chosen + (<usize>i << 2)) == slot;
    }
    if (known) continue;
    store<u32>(chosen + (<usize>count << 2), slot);
    count += 1;
  }
  return count;
}

/**
 * Links `slot` on one level with what `pool` holds. Distances leave the hidden out though there is
 * room (`keepPrunedConnections` of algorithm 4): links to them, and theirs back, crowd out the ones
 * that lead on. Inner products keep them: long vectors are near to all and live by the links back.
 * With log-normal lengths, recall after replacing half of the points is .998 with them, .912 without.
 */
function connect(slot: u32, level: u32, size: u32): void {
  const picked = choose(slot, pool, size, m);
  const count = codedMetric == METRIC_DOT ? fill(pool, size, picked, m) : picked;
  const links = linksOf(slot, level);
  setLinks(links, chosen, count);
  setCount(slot, level, count);
}

function connectBack(slot: u32, level: u32): void {
  const count = countOf(slot, level);
  const links = linksOf(slot, level);
  for (let at: u32 = 0; at < count; at += 1) {
    addLink(load<u32>(links + (<usize>at << 2)), slot, level);
  }
}

/** Links one row, unless its point is gone already. */
export function link(slot: u32): void {
  if (labelOf(slot) == NONE) return;
  const level = levelOf(slot);
  const row = rowOf(slot);
  store<u16>(row, 0, AT_COUNT);
  for (let on: u32 = 1; on <= level; on += 1) store<u32>(upperList(slot, on), 0);
  const entry = entryPoint();
  if (entry == NONE) {
    store<u8>(row, STATE_LINKED, AT_STATE);
    setEntryPoint(slot);
    return;
  }
  const top = levelIn(entry);
  queryOfRow(codesQ0, slot);
  let start = descend(codesQ0, level);
  const highest = min<u32>(top, level);
  for (let on: i32 = highest; on >= 0; on -= 1) {
    let ef = efConstruct;
    walkLevel(codesQ0, start, on, ef);
    start = slotIn(entryAt(pool, 0));
    let live = keepLive(slot);
    // Among many dead, look further: a node without links could not be found.
    for (; live == 0 && ef < EF_MAX && poolSize >= ef; live = keepLive(slot)) {
      ef *= 4;
      walkLevel(codesQ0, start, on, min<u32>(ef, EF_MAX));
    }
    connect(slot, on, live);
  }
  store<u8>(row, STATE_LINKED, AT_STATE);
  countLinked();
  for (let on: i32 = highest; on >= 0; on -= 1) connectBack(slot, on);
  if (level > top) setEntryPoint(slot);
}

/** Makes the live linked slot of the highest level the entry point. */
export function chooseEntry(slots: u32): void {
  let best: u32 = NONE;
  let bestLevel: u32 = 0;
  for (let slot: u32 = 0; slot < slots; slot += 1) {
    if (stateOf(slot) != STATE_LINKED || labelOf(slot) == NONE) continue;
    const level = levelOf(slot);
    if (best != NONE && level <= bestLevel) continue;
    best = slot;
    bestLevel = level;
  }
  setEntryPoint(best);
}
