/**
 * Linking a row into the graph (Malkov & Yashunin 2018, algorithms 1 and 4). A slot's level is
 * drawn once, from its number: a point that takes over a freed slot takes over its level, so the
 * upper levels neither thin nor grow when points are replaced, and their lists never move.
 */
import { isPlainNearer, keepPlain, nearnessMany } from './codes';
import { queryOfRow } from './encode';
import {
  AT_COUNT,
  AT_LEVEL,
  AT_STATE,
  LEVEL_DRAWN,
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
 * Of `size` candidates (sorted, in `from`), those which no nearer chosen one hides: candidate c is
 * hidden by s when s is nearer to c than the base is. At most `most`, written to `chosen`.
 */
export function choose(from: usize, size: u32, most: u32): u32 {
  let count: u32 = 0;
  for (let at: u32 = 0; at < size && count < most; at += 1) {
    const entry = entryAt(from, at);
    const slot = slotIn(entry);
    queryOfRow(codesQ1, slot);
    if (isPlainNearer(codesQ1, nearIn(entry), count)) continue;
    keepPlain(codesQ1, slot, count);
    store<u32>(chosen + (<usize>count << 2), slot);
    count += 1;
  }
  return count;
}

/** Whether one of the `count` slots at `others` is nearer to `slot` than `near`. */
export function isHidden(slot: u32, near: f32, others: usize, count: u32): bool {
  if (count == 0) return false;
  queryOfRow(codesQ1, slot);
  for (let at: u32 = 0; at < count; at += 4) {
    const some = min<u32>(4, count - at);
    nearnessMany(codesQ1, others + (<usize>at << 2), some, listNear);
    for (let i: u32 = 0; i < some; i += 1) {
      if (load<f32>(listNear + (<usize>i << 2)) > near) return true;
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
  const kept = choose(pool2, count + 1, capacity);
  setLinks(links, chosen, kept);
  setCount(from, level, kept);
}

/**
 * Links `slot` on one level with what `pool` holds. The hidden are left out though there is room
 * (`keepPrunedConnections` of algorithm 4): links to them, and theirs back, crowd out the ones that
 * lead on. With them, some seeds left regions of real embeddings that no walk of 256 reached.
 */
function connect(slot: u32, level: u32, size: u32): void {
  const count = choose(pool, size, m);
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
