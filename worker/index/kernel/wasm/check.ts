/**
 * The one pass over a memory that was read from a file: whatever is followed later (links, first
 * upper lists, the entry point) is checked against its bound here, so that no walk leaves the rows.
 */
import {
  AT_COUNT,
  AT_LEVEL,
  LEVEL_DRAWN,
  NONE,
  STATE_DEAD,
  STATE_FREE,
  STATE_LINKED,
  W_SLOTS,
  blockMask,
  blockOf,
  capacityOf,
  countOf,
  entryPoint,
  isPlaced,
  labelOf,
  levelIn,
  linksAt,
  linksOf,
  m0,
  marksAt,
  rowOf,
  setCondemned,
  stateOf,
  upperPerBlock,
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
    }
    setCondemned(slot, false);
    if (!isRowSound(slot, labelEnd)) return slot + 1;
  }
  for (let slot: u32 = 0; slot < slots; slot += 1) {
    if (!isWalkable(slot)) continue;
    const level = levelIn(slot);
    for (let on: u32 = 0; on <= level; on += 1) {
      if (!isListSound(slot, on, slots)) return slot + 1;
    }
  }
  const entry = entryPoint();
  if (entry == NONE) return 0;
  return entry < slots && isWalkable(entry) ? 0 : NONE;
}

function isRowSound(slot: u32, labelEnd: u32): bool {
  const row = rowOf(slot);
  const state = stateOf(slot);
  const label = labelOf(slot);
  if (state > STATE_DEAD) return false;
  if (label != NONE && label >= labelEnd) return false;
  if ((label == NONE) != (state == STATE_FREE || state == STATE_DEAD)) return false;
  if (isPlaced(slot) != (label != NONE && state == STATE_LINKED)) return false;
  const drawn = (<u32>load<u8>(row, AT_LEVEL) & LEVEL_DRAWN) != 0;
  if (!drawn) return !isWalkable(slot) && levelIn(slot) == 0;
  return load<u16>(row, AT_COUNT) <= m0 && fits(row, levelIn(slot));
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
    if (levelIn(to) < level) return false;
  }
  return true;
}
