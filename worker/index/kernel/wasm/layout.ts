/**
 * The search kernel, compiled by AssemblyScript (`scripts/build-kernel.ts`): an HNSW graph over
 * 8-bit codes in ONE linear memory per shard. No allocator, no garbage collector, no imports but
 * the memory: a shard is what this memory holds, and an address outside it is a trap.
 *
 * The layout is the file format: the saved image is header, centre and blocks, byte for byte.
 *
 *        0  header    u32 words, see `../layout.ts`
 *      256  scratch   of each of two threads, never saved: queries, pools, lists, bits of a
 *                     filter, tags of visited slots; and of the searching one, the slot of each label
 * centreAt  centre    what most vectors have alike, f32[dimension], where it is taken out before
 *                     coding: else codes would spend their bits on it
 * blocksAt  block 0, block 1, ...   1 << blockShift slots each, appended by memory.grow
 *
 *   block   rows     slots x rowStride: state and links
 *           coarse   slots x (16 + dimPad / 2) bytes: the head of the codes (float32: scale | side |
 *                    coarse scale | coarse error, see `codes.ts`), and their first plane
 *           fine     slots x dimPad / 2 bytes: the second
 *           raw      slots x dimension float32: the vectors as given, for exact scores; none when the
 *                    shard reads them from its rows instead
 *           upper    upperPerBlock lists of the upper levels: u32 count, u32[m]
 *           marks    u32 lists used, then one bit a slot: condemned (to be unlinked and freed)
 *
 *   row      0 u32 label (NONE: no live point; UNLINKED set: a search finds the point by scanning) |
 *            4 u16 links | 6 u8 level | 7 u8 state
 *            8 links of level 0, u32[m0] | u32 first upper list
 *
 *   codes    u8 = round(x / scale) + 128, scale = max|x| / 127 of THIS vector (a scale for all, or
 *            per dimension, fails with outlier dimensions); none in fewer than 32 dimensions, where
 *            walks compare the raw floats
 *
 * Codes are two planes, the upper four bits of all components and then the lower four: most of what
 * a walk meets is too far away by the first plane, and the second is never fetched. A walk waits
 * for cache lines and for pages, so what it reads of all it meets (tags, heads and the first plane)
 * lies close, apart from what it reads only of the few it goes on from.
 *
 *   state   0 free -> 1 pending -> 4 handed over -> 2 linked -> 3 dead (still walked) -> 0 free
 *
 * Two threads work on a memory at once, without a lock. The *searching* thread writes rows (codes,
 * floats, labels), condemns and frees; the *building* thread writes links, levels, the entry point
 * and the step 4 -> 2. It never reads the label of a row but to see that its point is gone, and a
 * slot is freed only between its jobs. What a walk may meet half done is harmless:
 *
 *   a list grows     the link first, then the count; a new node's row before the first link to it
 *   a list is cut    link by link: a walk sees old and new ones mixed, some twice, all of them nodes
 *   the entry point  one word; its level is read from its row, so the two always agree
 *
 * Since an address follows from a slot alone, nothing moves when the shard grows, and every link
 * of a saved image can be checked against one bound.
 *
 * Nearness (larger is nearer) of codes: with d = the product of both scales and the codes' inner
 * product, and `side` a second number kept with each row,
 *
 *   Cosine, Dot  d + s + s'  side = 0; of products with a centre m taken out, m (x - m): then the sum
 *                      is the product of the vectors as they were, less m m, which is the same for
 *                      all and which float32 would drown their differences in. Dot has been tried as
 *                      a distance in one more dimension (Bachrach et al. 2014), under which pruning
 *                      is sound: where lengths differ, walks then found .67 of the ten best, and 1.0
 *                      with the product as it is
 *   Euclid  2d - s - s'  side = |x'|^2 of the vector as coded: then this is the distance of two
 *                      coded vectors, with |x|^2 it would be off by far more, away from the origin
 *                      Cosine with a centre is coded so, too: of unit vectors, 1 - distance / 2
 *   Manhattan          no codes are kept, rows are compared as floats
 *
 * Papers: Malkov & Yashunin 2018 (graph, levels); Subramanya et al. 2019, DiskANN (which links are
 * kept, `link.ts`); Singh et al. 2021, FreshDiskANN (repair of deletions); Ailon & Chazelle 2006
 * (sign flips and Hadamard before coding); Gao & Long 2024, RaBitQ (what the first plane says of
 * the whole, `codes.ts`).
 */

export const NONE: u32 = 0xffff_ffff;
export const HEADER: usize = 0;

export const STATE_FREE: u32 = 0;
export const STATE_PENDING: u32 = 1;
export const STATE_LINKED: u32 = 2;
export const STATE_DEAD: u32 = 3;
export const STATE_HANDED: u32 = 4;

/** In a label: the point is in no graph yet as far as searches go. Labels are below 2^25. */
export const UNLINKED: u32 = 0x8000_0000;
/** In a level: it has been drawn, and its lists belong to the slot for good. */
export const LEVEL_DRAWN: u32 = 0x80;

export const AT_LABEL: usize = 0;
export const AT_COUNT: usize = 4;
export const AT_LEVEL: usize = 6;
export const AT_STATE: usize = 7;
export const linksAt: usize = 8;

export const METRIC_COSINE: u32 = 0;
export const METRIC_DOT: u32 = 1;
export const METRIC_EUCLID: u32 = 2;
export const METRIC_MANHATTAN: u32 = 3;

/** `blockShift` and `blockMask` where there are codes: a constant is an operand less. */
const CODED_SHIFT: u32 = 10;
const CODED_MASK: u32 = (1 << CODED_SHIFT) - 1;

// Constants of the shard, read from the header by `open`.
export let dimension: u32 = 0;
export let metric: u32 = 0;
/** That of the codes: unit vectors in whose codes the centre is left out are compared as by Euclid. */
export let codedMetric: u32 = 0;
/** What is subtracted before coding, f32[dimension]; 0: nothing is. */
export let centreAt: usize = 0;
export let m: u32 = 0;
export let m0: u32 = 0;
export let dimPad: u32 = 0;
export let rowStride: u32 = 0;
export let blockShift: u32 = 0;
export let blockMask: u32 = 0;
export let blockBytes: u32 = 0;
export let blocksAt: u32 = 0;
export let rawAt: u32 = 0;
export let upperAt: u32 = 0;
export let upperPerBlock: u32 = 0;
export let marksAt: u32 = 0;
export let efConstruct: u32 = 0;
export let seed: u32 = 0;
export let rotated: u32 = 0;
/** A power of two that vectors are multiplied by before coding. */
export let factor: f32 = 1;
/** Floats kept of a vector: all or none. */
export let rawBytes: u32 = 0;
/** Addresses of block 0's. */
export let coarseFrom: u32 = 0;
export let fineFrom: u32 = 0;
export let coarseStride: u32 = 0;
export let upperListBytes: u32 = 0;
export let dotFactor: f32 = 1;
export let sideFactor: f32 = 0;

// Scratch of this instance.
export let queryFloats: usize = 0;
export let codesQ0: usize = 0;
export let codesQ1: usize = 0;
export let rotateTmp: usize = 0;
export let listSlots: usize = 0;
export let listNear: usize = 0;
export let chosen: usize = 0;
export let pool: usize = 0;
export let pool2: usize = 0;
export let resultLabels: usize = 0;
export let resultNear: usize = 0;
export let slotList: usize = 0;
export let filterBits: usize = 0;
/** From there on, where the labels of all points are to be put: room for 2^25 of either. */
export const LIVE_AT: usize = (1 << 22) + 8;
export let plainRows: usize = 0;
/** A byte a slot. */
export let visited: usize = 0;
/** Of each label its slot + 1, or 0. */
export let labelMap: usize = 0;
export let reader: u32 = 0;

/** Whether the wider dot product of relaxed SIMD is used: a second build has it. */
export const RELAXED: bool = isDefined(USE_RELAXED);

@inline
export function word(at: usize): u32 {
  return load<u32>(HEADER + (at << 2));
}

@inline
export function setWord(at: usize, value: u32): void {
  store<u32>(HEADER + (at << 2), value);
}

/** Word numbers of the header; `../layout.ts` has the whole list. */
export const W_SLOTS: usize = 12;
export const W_ENTRY: usize = 13;
export const W_LINKED: usize = 14;

/** Reads the header. `thread` 0 or 1 picks the scratch whose addresses start at word 32 or 48. */
export function open(thread: u32): void {
  dimension = word(2);
  metric = word(3);
  m = word(4);
  m0 = word(5);
  dimPad = word(6);
  rowStride = word(7);
  blockShift = word(8);
  blockMask = (1 << blockShift) - 1;
  blockBytes = word(9);
  blocksAt = word(10);
  efConstruct = word(11);
  seed = word(15);
  rotated = word(16);
  centreAt = word(17);
  factor = word(24) == 0 ? 1 : reinterpret<f32>(word(24));
  codedMetric = metric == METRIC_COSINE && centreAt != 0 ? METRIC_EUCLID : metric;
  rawAt = word(18);
  upperAt = word(19);
  upperPerBlock = word(20);
  marksAt = word(21);
  rawBytes = word(23) != 0 ? dimension << 2 : 0;
  coarseStride = 16 + (dimPad >> 1);
  coarseFrom = blocksAt + (rowStride << CODED_SHIFT);
  fineFrom = coarseFrom + (coarseStride << CODED_SHIFT);
  upperListBytes = 4 + 4 * m;
  dotFactor = codedMetric == METRIC_EUCLID ? 2 : 1;
  sideFactor = codedMetric == METRIC_EUCLID ? -1 : centreAt != 0 ? 1 : 0;
  const base: usize = thread == 0 ? 32 : 48;
  queryFloats = word(base);
  codesQ0 = word(base + 1);
  codesQ1 = word(base + 2);
  rotateTmp = word(base + 3);
  listSlots = word(base + 4);
  listNear = word(base + 5);
  chosen = word(base + 6);
  pool = word(base + 7);
  pool2 = word(base + 8);
  resultLabels = word(base + 9);
  resultNear = word(base + 10);
  slotList = word(base + 11);
  filterBits = word(base + 12);
  plainRows = word(base + 13);
  visited = word(base + 14);
  labelMap = word(base + 15);
  reader = thread;
}

@inline
export function blockOf(slot: u32): usize {
  return <usize>blocksAt + <usize>(slot >> blockShift) * blockBytes;
}

@inline
export function rowOf(slot: u32): usize {
  return blockOf(slot) + <usize>(slot & blockMask) * rowStride;
}

/** A row's head, and behind its 16 bytes the first plane. */
@inline
export function headOf(slot: u32): usize {
  const block = <usize>coarseFrom + <usize>(slot >> CODED_SHIFT) * blockBytes;
  return block + <usize>(slot & CODED_MASK) * coarseStride;
}

@inline
export function fineOf(slot: u32): usize {
  const block = <usize>fineFrom + <usize>(slot >> CODED_SHIFT) * blockBytes;
  return block + <usize>(slot & CODED_MASK) * (dimPad >> 1);
}

@inline
export function rawOf(slot: u32): usize {
  return blockOf(slot) + rawAt + <usize>(slot & blockMask) * rawBytes;
}

/** NONE when no live point is there. */
@inline
export function labelOf(slot: u32): u32 {
  const label = load<u32>(rowOf(slot), AT_LABEL);
  return label == NONE ? NONE : label & ~UNLINKED;
}

/** Whether a live point is there which walks answer for; the others are scanned. */
@inline
export function isPlaced(slot: u32): bool {
  return load<i32>(rowOf(slot), AT_LABEL) >= 0;
}

/** The level of a slot that has been linked. */
@inline
export function levelIn(slot: u32): u32 {
  return <u32>load<u8>(rowOf(slot), AT_LEVEL) & ~LEVEL_DRAWN;
}

@inline
export function entryPoint(): u32 {
  return atomic.load<u32>(HEADER + (W_ENTRY << 2));
}

@inline
export function setEntryPoint(slot: u32): void {
  atomic.store<u32>(HEADER + (W_ENTRY << 2), slot);
}

@inline
export function stateOf(slot: u32): u32 {
  return load<u8>(rowOf(slot), AT_STATE);
}

/**
 * Address of the list (count, then links) of an upper level, from 1. The load is atomic because
 * nothing may then do it early: compilers turned `level == 0 ? a : b` into a choice between two
 * addresses, and every list of level 0 waited for a cache line that it does not need.
 */
@inline
export function upperList(slot: u32, level: u32): usize {
  const first = atomic.load<u32>(rowOf(slot) + linksAt + (m0 << 2));
  return blockOf(slot) + upperAt + <usize>(first + level - 1) * upperListBytes;
}

@inline
export function countOf(slot: u32, level: u32): u32 {
  if (level == 0) return atomic.load<u16>(rowOf(slot), AT_COUNT);
  return atomic.load<u32>(upperList(slot, level));
}

@inline
export function setCount(slot: u32, level: u32, count: u32): void {
  if (level == 0) atomic.store<u16>(rowOf(slot), <u16>count, AT_COUNT);
  else atomic.store<u32>(upperList(slot, level), count);
}

/** Counts a node, and keeps what was written before it before what is written after it: a node's
 * row before whatever leads to the node. */
@inline
export function countLinked(): void {
  atomic.add<u32>(HEADER + (W_LINKED << 2), 1);
}

/** Replaces the first links of a list, one after the other, so that none is ever half written. */
@inline
export function setLinks(links: usize, from: usize, count: u32): void {
  for (let at: usize = 0; at < <usize>(count << 2); at += 4) {
    store<u32>(links + at, load<u32>(from + at));
  }
}

/** Address of the first link. */
@inline
export function linksOf(slot: u32, level: u32): usize {
  return level == 0 ? rowOf(slot) + linksAt : upperList(slot, level) + 4;
}

@inline
export function capacityOf(level: u32): u32 {
  return level == 0 ? m0 : m;
}

@inline
export function isCondemned(slot: u32): bool {
  const at = slot & blockMask;
  const bits = load<u32>(blockOf(slot) + marksAt + 4 + ((at >> 5) << 2));
  return ((bits >> (at & 31)) & 1) != 0;
}

export function setCondemned(slot: u32, on: bool): void {
  const at = slot & blockMask;
  const address = blockOf(slot) + marksAt + 4 + ((at >> 5) << 2);
  const bit = (<u32>1) << (at & 31);
  const bits = load<u32>(address);
  store<u32>(address, on ? bits | bit : bits & ~bit);
}
