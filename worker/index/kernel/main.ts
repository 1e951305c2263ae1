/** What the host calls. Addresses and counts only; the host copies floats and bits in and out. */
import { encodeRow, eraseRow, norm2, peak, peakRotated } from './encode';
import {
  AT_LABEL,
  AT_STATE,
  NONE,
  STATE_DEAD,
  STATE_FREE,
  STATE_PENDING,
  W_SLOTS,
  dimPad,
  dimension,
  labelOf,
  rawOf,
  rowOf,
  setWord,
  stateOf,
  word,
} from './layout';

export { check } from './check';
export { open, setCondemned } from './layout';
export { link } from './link';
export { free, leaveCondemned, mend } from './repair';
export { begin, exactSlots, finish, scanRange, scanSlots, walk } from './search';
export { labelOf, rawOf, stateOf };

/** Makes `slot` (free, or the one after the last) a pending row of the floats at its raw place. */
export function put(slot: u32, label: u32): void {
  const row = rowOf(slot);
  encodeRow(slot);
  store<u32>(row, label, AT_LABEL);
  store<u8>(row, STATE_PENDING, AT_STATE);
  if (slot >= word(W_SLOTS)) setWord(W_SLOTS, slot + 1);
}

/**
 * Takes the point off its slot. True when the slot is free; false when the graph still leads
 * through it: then its floats are gone, its codes go when the last link to it has.
 */
export function remove(slot: u32): bool {
  const row = rowOf(slot);
  if (stateOf(slot) == STATE_PENDING) {
    eraseRow(slot);
    store<u8>(row, STATE_FREE, AT_STATE);
    return true;
  }
  store<u32>(row, NONE, AT_LABEL);
  store<u8>(row, STATE_DEAD, AT_STATE);
  // Without codes the floats are what walks compare; they go with the last link, too.
  if (dimPad != 0) memory.fill(rawOf(slot), 0, dimension << 2);
  return false;
}

export function rawNorm2(slot: u32): f32 {
  return norm2(rawOf(slot));
}

export function rawPeak(slot: u32): f32 {
  return peak(rawOf(slot));
}

export function rawPeakRotated(slot: u32): f32 {
  return peakRotated(rawOf(slot));
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
