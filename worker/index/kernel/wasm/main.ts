/** What the host calls. Addresses and counts only; the host copies floats and bits in and out. */
import { encodeRow, eraseRow, largestOf } from './encode';
import {
  AT_LABEL,
  AT_STATE,
  NONE,
  STATE_DEAD,
  STATE_FREE,
  STATE_HANDED,
  STATE_LINKED,
  STATE_PENDING,
  UNLINKED,
  W_SLOTS,
  dimPad,
  dimension,
  isPlaced,
  labelOf,
  queryFloats,
  rawBytes,
  rawOf,
  rotateTmp,
  rowOf,
  setWord,
  stateOf,
  word,
} from './layout';

import { rotate } from './rotate';

export { check } from './check';
export { open, setCondemned } from './layout';
export { link } from './link';
export { free, leaveCondemned, mend } from './repair';
export { allowLive, begin, exactSlots, finish, scanLabels, scanRange, scanSlots, walk } from './search';
export { labelOf, rawOf, stateOf };

/** Makes `slot` (free, or the one after the last) a pending row of the floats at `queryFloats`. */
export function put(slot: u32, label: u32): void {
  const row = rowOf(slot);
  memory.copy(rawOf(slot), queryFloats, rawBytes);
  encodeRow(slot, queryFloats);
  store<u32>(row, label | UNLINKED, AT_LABEL);
  store<u8>(row, STATE_PENDING, AT_STATE);
  if (slot >= word(W_SLOTS)) setWord(W_SLOTS, slot + 1);
}

/** Makes the codes of a row anew, from its floats. */
export function recode(slot: u32): void {
  encodeRow(slot, rawOf(slot));
}

/** What became of a slot whose point is taken off it. */
export const SLOT_FREE: u32 = 0;
/** The graph leads through it: its floats are gone, its codes go when the last link to it has. */
export const SLOT_DEAD: u32 = 1;
/** The building thread has it: `settle` will tell. */
export const SLOT_HANDED: u32 = 2;

/** Takes the point off its slot. */
export function remove(slot: u32): u32 {
  if (isPlaced(slot)) return bury(slot);
  if (stateOf(slot) == STATE_PENDING) return release(slot);
  store<u32>(rowOf(slot), NONE, AT_LABEL);
  return SLOT_HANDED;
}

/** A pending row goes to the building thread. */
export function handOver(slot: u32): void {
  store<u8>(rowOf(slot), STATE_HANDED, AT_STATE);
}

/** A row comes back from the building thread; NONE when walks find its point from now on. */
export function settle(slot: u32): u32 {
  const row = rowOf(slot);
  if (labelOf(slot) != NONE) {
    store<u32>(row, labelOf(slot), AT_LABEL);
    return NONE;
  }
  return stateOf(slot) == STATE_LINKED ? bury(slot) : release(slot);
}

function bury(slot: u32): u32 {
  store<u32>(rowOf(slot), NONE, AT_LABEL);
  store<u8>(rowOf(slot), STATE_DEAD, AT_STATE);
  // Without codes the floats are what walks compare; they go with the last link, too.
  if (dimPad != 0) memory.fill(rawOf(slot), 0, rawBytes);
  return SLOT_DEAD;
}

function release(slot: u32): u32 {
  eraseRow(slot);
  store<u8>(rowOf(slot), STATE_FREE, AT_STATE);
  return SLOT_FREE;
}

/** The largest component of the floats at `queryFloats`, after a rotation. */
export function rotatedPeak(): f32 {
  memory.copy(rotateTmp, queryFloats, dimension << 2);
  rotate();
  return largestOf(rotateTmp);
}

/** One extreme product through the instruction that may saturate: right is 16 x 255 x -127. */
export function probe(at: usize): i32 {
  memory.fill(at, 255, 16);
  memory.fill(at + 16, 0x81, 16);
  const sum = isDefined(USE_RELAXED)
    ? i32x4.relaxed_dot_i8x16_i7x16_add_s(v128.load(at + 16), v128.load(at), i32x4.splat(0))
    : i32x4.splat(4 * 255 * -127);
  return (
    i32x4.extract_lane(sum, 0) +
    i32x4.extract_lane(sum, 1) +
    i32x4.extract_lane(sum, 2) +
    i32x4.extract_lane(sum, 3)
  );
}
