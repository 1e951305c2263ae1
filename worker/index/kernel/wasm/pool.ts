/**
 * The best candidates of a search as a sorted array: for a few hundred entries an insertion (a
 * binary search and a move of what is behind) costs less than a heap's branches, and the next one
 * to expand is found by walking on. An entry is one i64: nearness as an ordered integer above,
 * slot and a flag (expanded) below, so that comparing entries is comparing numbers and ties are
 * decided by the slot.
 */

@inline
export function entryOf(near: f32, slot: u32): i64 {
  const bits = reinterpret<i32>(near);
  const ordered = bits ^ ((bits >> 31) & 0x7fff_ffff);
  return ((<i64>ordered) << 32) | <i64>(slot << 1);
}

@inline
export function slotIn(entry: i64): u32 {
  return (<u32>entry) >> 1;
}

@inline
export function nearIn(entry: i64): f32 {
  const ordered = <i32>(entry >> 32);
  return reinterpret<f32>(ordered ^ ((ordered >> 31) & 0x7fff_ffff));
}

@inline
export function entryAt(pool: usize, at: u32): i64 {
  return load<i64>(pool + (<usize>at << 3));
}

/** Puts an entry in its place among `size` (the largest first); returns the place. */
@inline
export function insertAt(pool: usize, size: u32, max: u32, entry: i64): u32 {
  // Halves of a length that does not depend on what is found: nothing to mispredict.
  let low: u32 = 0;
  for (let left = size; left > 0; ) {
    const half = (left + 1) >> 1;
    low = select<u32>(low + half, low, entryAt(pool, low + half - 1) > entry);
    left -= half;
  }
  let end = pool + (<usize>(size < max ? size : max - 1) << 3);
  const place = pool + (<usize>low << 3);
  for (; end >= place + 16; end -= 16) {
    const pair = v128.load(end - 16);
    v128.store(end - 8, pair);
  }
  if (end > place) store<i64>(end, load<i64>(end - 8));
  store<i64>(place, entry);
  return low;
}
