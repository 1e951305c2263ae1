/**
 * How a memory of the kernel is laid out, as the host sees it; blocks and rows: `wasm/layout.ts`.
 *
 * Header, u32 words:
 *    0 magic | 1 version | 2 dimension | 3 metric | 4 m | 5 m0 | 6 dimPad | 7 rowStride |
 *    8 blockShift | 9 blockBytes | 10 blocksAt | 11 efConstruct | 12 slots used | 13 entry point |
 *   14 nodes ever linked | 15 seed | 16 rotated | 17 centre | 18.. offsets in a block: raw, upper |
 *   20 upper lists a block | 21 marks | 22 shape, 1 = codes | 23 whether floats are kept |
 *   24 factor before coding, f32, 0 for 1 |
 *   32.. scratch of thread 0 | 48.. of thread 1
 *
 * Two shapes. `floats` has neither codes nor links: for shards so small that comparing floats is
 * quickest, and for Manhattan. `codes` has both, and is shared with the thread that builds.
 */
import { DISTANCES, type Distance } from '../../../shared/domain/distance.ts';
import { LIMITS } from '../../../shared/domain/limits.ts';

const MAGIC = 0x314b_4842;
const VERSION = 5;
export const HEADER_BYTES = 4_096;
export const HEADER_WORDS = 64;
export const SCRATCH_WORD = 32;
const BUILDING_SCRATCH_WORD = 48;
/** What stands before the links of a row, for the codes of a row, and before a query's codes. */
const ROW_HEAD_BYTES = 8;
const CODE_HEAD_BYTES = 16;
const QUERY_HEAD_BYTES = 32;

export const NONE = 0xffff_ffff;
/** Slots, and labels, that filters, tags and the label map in scratch have room for. */
export const LABELS_MAX = 2 ** 25;
/** Behind a filter in scratch: where the bits of all live labels are put. */
export const LIVE_AT = LABELS_MAX / 8 + 8;
/** Slots handed to a scan at a time. */
export const SLOT_LIST_MAX = 16_384;
/** Slots that an exact scan scores at a time. */
export const SCAN_BATCH = 256;
/** Candidates a walk can keep. */
export const EF_MAX = 24_576;
/** Candidates a search can take for exact scores. */
const TAKE_MAX = 2 * LIMITS.searchHitsMax + 64;
/** How many standard deviations of upper lists a block has room for, roughly. */
const UPPER_SLACK = 1.4;

/** Nodes whose neighbours a list has room for, see `wasm/walk.ts`. */
const AT_ONCE = 3;

/** In fewer dimensions a byte a component is too coarse, and floats are small. */
const CODES_FROM = 32;

export type Shape = 'floats' | 'codes';
/** `HEADER_WORDS` words. */
export type Header = Uint32Array<ArrayBuffer>;

export interface MemoryLayout {
  shape: Shape;
  dimension: number;
  distance: Distance;
  m: number;
  efConstruct: number;
  seed: number;
  rotated: boolean;
  /** A power of two that vectors are multiplied by before they are coded. */
  factor: number;
  /** What is taken out of vectors before they are coded, if anything is. */
  centre: Float32Array | undefined;
  /** Whether the floats are kept beside the codes. Where there are no codes, they are. */
  raw: boolean;
}

const align = (bytes: number, to = 64): number => Math.ceil(bytes / to) * to;

/** What codes depend on beside the vectors. */
export type Coding = Pick<MemoryLayout, 'seed' | 'rotated' | 'factor' | 'centre'>;

export function headerOf(layout: MemoryLayout): Header {
  const { dimension, distance, m, efConstruct, seed } = layout;
  const codes = layout.shape === 'codes';
  const m0 = codes ? 2 * m : 0;
  const dimPad = codes && dimension >= CODES_FROM ? align(dimension, 32) : 0;
  const rowStride = codes ? align(ROW_HEAD_BYTES + 4 * m0 + 4, 16) : ROW_HEAD_BYTES;
  const blockShift = codes ? 10 : 5;
  const slots = 2 ** blockShift;
  const upperPerBlock = codes && m > 1 ? Math.ceil((slots / (m - 1)) * UPPER_SLACK) + 16 : 0;
  const raw = layout.raw || dimPad === 0;
  const rawAt = slots * (rowStride + (codes ? CODE_HEAD_BYTES + dimPad : 0));
  const upperAt = align(rawAt + (raw ? slots * dimension * 4 : 0));
  const marksAt = align(upperAt + upperPerBlock * (4 + 4 * m));
  const blockBytes = align(marksAt + 4 + slots / 8);
  const header = new Uint32Array(HEADER_WORDS);
  header.set([MAGIC, VERSION, dimension, DISTANCES.indexOf(distance), m, m0, dimPad, rowStride]);
  const scratch = scratchOf(layout, m0, dimPad, HEADER_WORDS * 4);
  const building = codes
    ? scratchOf(layout, m0, dimPad, scratch.end)
    : { ...scratch, addresses: [] };
  const centreAt = align(building.end, 4_096);
  const hasCentre = layout.centre !== undefined && dimPad > 0;
  const blocksAt = centreAt + (hasCentre ? align(4 * dimension, 4_096) : 0);
  header.set([blockShift, blockBytes, blocksAt, efConstruct, 0, NONE, 0, seed], 8);
  header.set([layout.rotated ? 1 : 0, hasCentre ? centreAt : 0, rawAt, upperAt], 16);
  header.set([upperPerBlock, marksAt, codes ? 1 : 0, raw ? 1 : 0], 20);
  if (layout.factor !== 1) new Float32Array(header.buffer)[24] = layout.factor;
  header.set(scratch.addresses, SCRATCH_WORD);
  header.set(building.addresses, BUILDING_SCRATCH_WORD);
  return header;
}

/** Addresses of a thread's scratch, in the order of `open` in `wasm/layout.ts`. */
function scratchOf(
  { dimension, shape }: MemoryLayout,
  m0: number,
  dimPad: number,
  start: number,
): { addresses: number[]; end: number } {
  const codes = shape === 'codes';
  const list = Math.max(64, AT_ONCE * m0 + 8);
  const pool = codes ? 8 * (EF_MAX + 8) : 8;
  const take = codes ? TAKE_MAX : SCAN_BATCH;
  const sizes = [
    dimension * 4,
    QUERY_HEAD_BYTES + Math.max(2 * dimPad, 4 * CODES_FROM),
    QUERY_HEAD_BYTES + Math.max(2 * dimPad, 4 * CODES_FROM),
    Math.max(dimension, dimPad) * 4,
    list * 4,
    list * 4,
    list * 4,
    pool,
    codes ? 8 * (TAKE_MAX + 8) : 8,
    codes ? take * 4 : 64,
    take * 8,
    ((codes ? SLOT_LIST_MAX : SCAN_BATCH) + 4) * 4,
    codes ? 2 * LIVE_AT : 64,
    list * (CODE_HEAD_BYTES + dimPad),
    codes ? LABELS_MAX : 64,
    codes ? LABELS_MAX * 4 : 64,
  ];
  const addresses: number[] = [];
  let end = start;
  for (const size of sizes) {
    addresses.push(end);
    end += align(size);
  }
  return { addresses, end };
}

export function shapeOf(header: Uint32Array): Shape {
  return header[22] === 1 ? 'codes' : 'floats';
}
