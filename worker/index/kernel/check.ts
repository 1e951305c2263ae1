/**
 * The one pass over a memory that was read from a file: whatever is followed later (links, first
 * upper lists, the entry point) is checked against its bound here, so that no walk leaves the rows.
 */
import {
  AT_COUNT,
  AT_LEVEL,
  AT_STATE,
  NONE,
  STATE_DEAD,
  STATE_FREE,
  STATE_LINKED,
  W_ENTRY,
  W_SLOTS,
  W_TOP,
  blockMask,
  blockOf,
  capacityOf,
  countOf,
  labelOf,
  linksAt,
  linksOf,
  m0,
  marksAt,
  rowOf,
  setCondemned,
  stateOf,
  upperPerBlock,
  visitedAt,
  word,
} from './layout';

@inline
function isWalkable(slot: u32): bool {
  const state = stateOf(slot);
  return state == STATE_LINKED || state == STATE_DEAD;
}

/** 0 when everything that is followed leads somewhere; else one more than the slot that fails. */
export function check(labelEnd: u32): u32 {
  const slots = word(W_SLOTS);
  for (let slot: u32 = 0; slot < slots; slot += 1) {
    if ((slot & blockMask) == 0) {
      if (load<u32>(blockOf(slot) + marksAt) > upperPerBlock) return slot + 1;
      memory.fill(blockOf(slot) + visitedAt, 0, blockMask + 1);
    }
    setCondemned(slot, false);
    if (!isRowSound(slot, labelEnd)) return slot + 1;
  }
  for (let slot: u32 = 0; slot < slots; slot += 1) {
    if (!isWalkable(slot)) continue;
    const level: u32 = load<u8>(rowOf(slot), AT_LEVEL) & 0x7f;
    for (let on: u32 = 0; on <= level; on += 1) {
      if (!isListSound(slot, on, slots)) return slot + 1;
    }
  }
  const entry = word(W_ENTRY);
  if (entry == NONE) return 0;
  if (entry >= slots || !isWalkable(entry)) return NONE;
  if ((load<u8>(rowOf(entry), AT_LEVEL) & 0x7f) != word(W_TOP)) return NONE;
  return 0;
}

function isRowSound(slot: u32, labelEnd: u32): bool {
  const row = rowOf(slot);
  const state = stateOf(slot);
  const label = labelOf(slot);
  if (state > STATE_DEAD) return false;
  if (label != NONE && label >= labelEnd) return false;
  if ((label == NONE) != (state == STATE_FREE || state == STATE_DEAD)) return false;
  const level: u32 = load<u8>(row, AT_LEVEL);
  if (!isWalkable(slot)) return level == 0 || fits(row, level & 0x7f);
  return (level & 0x80) != 0 && load<u16>(row, AT_COUNT) <= m0 && fits(row, level & 0x7f);
}

@inline
function fits(row: usize, level: u32): bool {
  const first = load<u32>(row + linksAt + (m0 << 2));
  return level <= 15 && first <= upperPerBlock && first + level <= upperPerBlock;
}

function isListSound(slot: u32, level: u32, slots: u32): bool {
  const count = countOf(slot, level);
  if (count > capacityOf(level)) return false;
  const links = linksOf(slot, level);
  for (let at: u32 = 0; at < count; at += 1) {
    const to = load<u32>(links + (<usize>at << 2));
    if (to >= slots || !isWalkable(to)) return false;
    if ((<u32>load<u8>(rowOf(to), AT_LEVEL) & 0x7f) < level) return false;
  }
  return true;
}
