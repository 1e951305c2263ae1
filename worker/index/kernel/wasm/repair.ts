/**
 * Taking dead nodes out of the graph. A pass condemns what is dead at its start, mends every node
 * that points at a condemned one, and only then frees the condemned: no link is left to them, and
 * none can have been made, since linking never chooses the dead.
 *
 * A mended list loses its condemned links and *gains* the nearest candidates from the lists of the
 * condemned, as far as they are not hidden and there is room; what it has is never pruned again
 * (FreshDiskANN, Singh et al. 2021, algorithm 4, prunes all and loses long links that way).
 */
import { nearnessMany } from './codes';
import { eraseRow, queryOfRow } from './encode';
import {
  AT_STATE,
  STATE_DEAD,
  STATE_FREE,
  STATE_LINKED,
  W_SLOTS,
  capacityOf,
  codesQ0,
  countOf,
  entryPoint,
  isCondemned,
  linksOf,
  listNear,
  pool2,
  rowOf,
  setCondemned,
  setCount,
  slotList,
  stateOf,
  word,
  NONE,
} from './layout';
import { chooseEntry, isHidden, levelOf, ownNearness } from './link';
import { entryAt, entryOf, insertAt, nearIn, slotIn } from './pool';
import { forgetVisited, visit } from './walk';

/** Candidates looked at per list: the lists of a few dead neighbours. */
const CANDIDATES_MAX: u32 = 512;

/** Mends the nodes of a range. */
export function mend(from: u32, to: u32): void {
  for (let slot = from; slot < to; slot += 1) {
    if (isCondemned(slot)) continue;
    const state = stateOf(slot);
    if (state != STATE_LINKED && state != STATE_DEAD) continue;
    const level = levelOf(slot);
    for (let on: u32 = 0; on <= level; on += 1) mendList(slot, on);
  }
}

function mendList(slot: u32, level: u32): void {
  const links = linksOf(slot, level);
  const count = countOf(slot, level);
  let lost: u32 = 0;
  for (let at: u32 = 0; at < count; at += 1) {
    if (isCondemned(load<u32>(links + (<usize>at << 2)))) lost += 1;
  }
  if (lost == 0) return;
  const found = candidates(slot, level);
  queryOfRow(codesQ0, slot);
  let kept: u32 = 0;
  for (let at: u32 = 0; at < count; at += 1) {
    const to = load<u32>(links + (<usize>at << 2));
    if (isCondemned(to)) continue;
    store<u32>(links + (<usize>kept << 2), to);
    kept += 1;
  }
  setCount(slot, level, kept);
  addNearest(slot, level, found);
}

/** Live nodes that condemned neighbours point at, and that are no neighbours, into `slotList`. */
function candidates(slot: u32, level: u32): u32 {
  forgetVisited();
  visit(slot);
  const links = linksOf(slot, level);
  const count = countOf(slot, level);
  for (let at: u32 = 0; at < count; at += 1) visit(load<u32>(links + (<usize>at << 2)));
  let found: u32 = 0;
  let ways: u32 = 0;
  for (let at: u32 = 0; at < count; at += 1) {
    const dead = load<u32>(links + (<usize>at << 2));
    if (isCondemned(dead)) found = collect(dead, level, found);
  }
  // Where whole neighbourhoods died, go on through the dead until somebody lives.
  const through = slotList + (<usize>CANDIDATES_MAX << 2);
  ways = waysOut;
  for (let at: u32 = 0; at < ways && found < 8; at += 1) {
    found = collect(load<u32>(through + (<usize>at << 2)), level, found);
    ways = waysOut;
  }
  waysOut = 0;
  return found;
}

let waysOut: u32 = 0;

function collect(dead: u32, level: u32, found: u32): u32 {
  const links = linksOf(dead, level);
  const count = countOf(dead, level);
  for (let at: u32 = 0; at < count; at += 1) {
    const to = load<u32>(links + (<usize>at << 2));
    if (!visit(to)) continue;
    if (isCondemned(to)) {
      if (waysOut >= CANDIDATES_MAX) continue;
      store<u32>(slotList + (<usize>(CANDIDATES_MAX + waysOut) << 2), to);
      waysOut += 1;
    } else if (found < CANDIDATES_MAX && stateOf(to) == STATE_LINKED) {
      store<u32>(slotList + (<usize>found << 2), to);
      found += 1;
    }
  }
  return found;
}

function addNearest(slot: u32, level: u32, found: u32): void {
  let size: u32 = 0;
  for (let at: u32 = 0; at < found; at += 32) {
    const some = min<u32>(32, found - at);
    nearnessMany(codesQ0, slotList + (<usize>at << 2), some, listNear);
    for (let i: u32 = 0; i < some; i += 1) {
      const to = load<u32>(slotList + (<usize>(at + i) << 2));
      insertAt(pool2, size, CANDIDATES_MAX, entryOf(load<f32>(listNear + (<usize>i << 2)), to));
      size += 1;
    }
  }
  const own = ownNearness(slot);
  const links = linksOf(slot, level);
  const capacity = capacityOf(level);
  let count = countOf(slot, level);
  for (let at: u32 = 0; at < size && count < capacity; at += 1) {
    const entry = entryAt(pool2, at);
    if (isHidden(own, slotIn(entry), nearIn(entry), links, count)) continue;
    store<u32>(links + (<usize>count << 2), slotIn(entry));
    count += 1;
    setCount(slot, level, count);
    answer(slotIn(entry), slot, level);
  }
}

/** The other direction of a new link, where it costs nothing: who lost in-links gains one. */
function answer(from: u32, to: u32, level: u32): void {
  const count = countOf(from, level);
  if (count >= capacityOf(level)) return;
  const links = linksOf(from, level);
  for (let at: u32 = 0; at < count; at += 1) {
    if (load<u32>(links + (<usize>at << 2)) == to) return;
  }
  store<u32>(links + (<usize>count << 2), to);
  setCount(from, level, count + 1);
}

/** Moves the entry point off the condemned; call when all are mended and none is freed. */
export function leaveCondemned(): void {
  const entry = entryPoint();
  if (entry == NONE || !isCondemned(entry)) return;
  chooseEntry(word(W_SLOTS));
}

/** Frees and erases a condemned slot, when all nodes are mended. */
export function free(slot: u32): void {
  setCondemned(slot, false);
  eraseRow(slot);
  store<u8>(rowOf(slot), STATE_FREE, AT_STATE);
}
