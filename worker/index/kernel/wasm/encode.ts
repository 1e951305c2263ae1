/** Makes codes: of a row from its floats, and of a query from floats or a row (`codes.ts`). */
import {
  AT_SCALE,
  AT_SIDE,
  AT_COARSE_SCALE,
  AT_COARSE_ERROR,
  Q_SCALE,
  Q_SIDE,
  Q_CORRECTION,
  Q_OFFSET,
  Q_COARSE_CORRECTION,
  Q_LENGTH,
  Q_CODES,
  AT_PLANE,
  held,
  sum4,
} from './codes';
import {
  AT_LEVEL,
  AT_LABEL,
  METRIC_EUCLID,
  NONE,
  RELAXED,
  coarseStride,
  dimPad,
  dimension,
  dotFactor,
  factor,
  fineOf,
  headOf,
  linksAt,
  m0,
  codedMetric,
  rawBytes,
  rawOf,
  centreAt,
  rotateTmp,
  rotated,
  rowOf,
  rowStride,
  sideFactor,
} from './layout';
import { rotate } from './rotate';

/** Of the vector that was last made ready for coding; 0 where no products need it. */
let alongCentre: f32 = 0;

/** Coarse errors that a row is given the benefit of: with 3, not one hit more was found. */
const DOUBT: f32 = 2;

@inline
function putQueryHead(query: usize, scale: f32, side: f32, sum: i32, squares: i32): void {
  store<f32>(query, dotFactor * scale, Q_SCALE);
  store<f32>(query, sideFactor, Q_SIDE);
  store<i32>(query, 128 * sum, Q_CORRECTION);
  store<f32>(query, sideFactor * side, Q_OFFSET);
  store<f32>(query, <f32>120.5 * <f32>sum, Q_COARSE_CORRECTION);
  store<f32>(query, DOUBT * sqrt<f32>(<f32>squares), Q_LENGTH);
}

/** Sums of the products of 16 signed codes. */
@inline
function products16(a: v128, b: v128): v128 {
  const low = v128.dot<i16>(v128.extend_low<i8>(a), v128.extend_low<i8>(b));
  return v128.add<i32>(low, v128.dot<i16>(v128.extend_high<i8>(a), v128.extend_high<i8>(b)));
}

/** Makes a query of a stored row. */
export function queryOfRow(query: usize, slot: u32): void {
  if (dimPad == 0) {
    putQueryHead(query, 0, load<f32>(headOf(slot), AT_SIDE), 0, 0);
    memory.copy(query + Q_CODES, rawOf(slot), dimension << 2);
    return;
  }
  const upper = headOf(slot) + AT_PLANE;
  const lower = fineOf(slot);
  const flip = held(128);
  const ones = held(1);
  const lowerHalf = held(15);
  let sums = i32x4.splat(0);
  let squares = i32x4.splat(0);
  for (let at: usize = 0; at < <usize>(dimPad >> 1); at += 16) {
    const high = v128.load(upper + at);
    const low = v128.load(lower + at);
    const a = v128.xor(v128.bitselect(low, v128.shl<i8>(high, 4), lowerHalf), flip);
    const b = v128.xor(v128.bitselect(v128.shr<u8>(low, 4), high, lowerHalf), flip);
    putCodes(query, at << 1, a);
    putCodes(query, (at << 1) + 16, b);
    sums = v128.add<i32>(sums, v128.add<i32>(products16(a, ones), products16(b, ones)));
    squares = v128.add<i32>(squares, v128.add<i32>(products16(a, a), products16(b, b)));
  }
  const head = headOf(slot);
  const scale = load<f32>(head, AT_SCALE);
  putQueryHead(query, scale, load<f32>(head, AT_SIDE), sum4(sums), sum4(squares));
}

@inline
function putCodes(query: usize, at: usize, signed: v128): void {
  if (RELAXED) {
    v128.store(query + Q_CODES + at, signed);
  } else {
    v128.store(query + Q_CODES + (at << 1), v128.extend_low<i8>(signed));
    v128.store(query + Q_CODES + (at << 1), v128.extend_high<i8>(signed), 16);
  }
}

/** Makes a query of floats. */
export function queryOfFloats(query: usize, floats: usize): void {
  if (dimPad == 0) {
    putQueryHead(query, 0, 0, 0, 0);
    memory.copy(query + Q_CODES, floats, dimension << 2);
    return;
  }
  const source = toBeCoded(floats);
  const scale = scaleOf(source);
  const inverse: f32 = scale > 0 ? 1 / scale : 0;
  const ones = held(1);
  let sums = i32x4.splat(0);
  let squares = i32x4.splat(0);
  for (let at: usize = 0; at < <usize>dimPad; at += 16) {
    const codes = codes16(source + (at << 2), inverse);
    putCodes(query, at, codes);
    sums = v128.add<i32>(sums, products16(codes, ones));
    squares = v128.add<i32>(squares, products16(codes, codes));
  }
  const square = sum4(squares);
  putQueryHead(query, scale, sideOf(scale, <f32>square), sum4(sums), square);
}

/** Writes the codes of a row and their numbers. */
export function encodeRow(slot: u32, raw: usize): void {
  const head = headOf(slot);
  if (dimPad == 0) return;
  const source = toBeCoded(raw);
  const scale = scaleOf(source);
  const squares = putPlanes(slot, source, scale);
  store<f32>(head, scale, AT_SCALE);
  store<f32>(head, sideOf(scale, squares), AT_SIDE);
}

/** Returns the sum of the squares of the codes. */
function putPlanes(slot: u32, source: usize, scale: f32): f32 {
  const inverse: f32 = scale > 0 ? 1 / scale : 0;
  const upper = headOf(slot) + AT_PLANE;
  const lower = fineOf(slot);
  const flip = held(128);
  const lowerHalf = held(15);
  const ones = held(1);
  let xs = i32x4.splat(0);
  let xx = i32x4.splat(0);
  let hs = i32x4.splat(0);
  let hx = i32x4.splat(0);
  let hh = i32x4.splat(0);
  for (let at: usize = 0; at < <usize>dimPad; at += 32) {
    const a = codes16(source + (at << 2), inverse);
    const b = codes16(source + (at << 2) + 64, inverse);
    const c = v128.xor(a, flip);
    const d = v128.xor(b, flip);
    v128.store(upper + (at >> 1), v128.bitselect(v128.shr<u8>(c, 4), d, lowerHalf));
    v128.store(lower + (at >> 1), v128.bitselect(c, v128.shl<i8>(d, 4), lowerHalf));
    const e = v128.andnot(a, lowerHalf);
    const f = v128.andnot(b, lowerHalf);
    xs = v128.add<i32>(xs, v128.add<i32>(products16(a, ones), products16(b, ones)));
    xx = v128.add<i32>(xx, v128.add<i32>(products16(a, a), products16(b, b)));
    hs = v128.add<i32>(hs, v128.add<i32>(products16(e, ones), products16(f, ones)));
    hx = v128.add<i32>(hx, v128.add<i32>(products16(e, a), products16(f, b)));
    hh = v128.add<i32>(hh, v128.add<i32>(products16(e, e), products16(f, f)));
  }
  // h is in the middle of what its four bits may mean: 7.5 above their least.
  const square = <f32>sum4(xx);
  const along = <f32>sum4(hx) + <f32>7.5 * <f32>sum4(xs);
  const length = <f32>sum4(hh) + 15 * <f32>sum4(hs) + <f32>56.25 * <f32>dimPad;
  const ratio: f32 = along > 0 ? square / along : 1;
  const error2 = max<f32>(0, square - 2 * ratio * along + ratio * ratio * length);
  const head = headOf(slot);
  store<f32>(head, scale * ratio, AT_COARSE_SCALE);
  store<f32>(head, scale * sqrt<f32>(error2 / <f32>dimension), AT_COARSE_ERROR);
  return square;
}

/** The second number of what `toBeCoded` has made ready, whose codes have that sum of squares. */
@inline
function sideOf(scale: f32, squares: f32): f32 {
  return codedMetric == METRIC_EUCLID ? scale * scale * squares : alongCentre;
}

/** Takes the centre out of what is to be coded. */
function takeOutCentre(): void {
  for (let at: usize = 0; at < <usize>(dimension << 2); at += 4) {
    store<f32>(rotateTmp + at, load<f32>(rotateTmp + at) - load<f32>(centreAt + at));
  }
}

/** Brings what is to be coded near 1, where squares neither overflow nor vanish. */
function magnify(): void {
  for (let at: usize = 0; at < <usize>(dimension << 2); at += 4) {
    store<f32>(rotateTmp + at, load<f32>(rotateTmp + at) * factor);
  }
}

/** The product of the centre and what is left without it, both magnified. */
function productWithCentre(): f32 {
  let sum: f64 = 0;
  for (let at: usize = 0; at < <usize>(dimension << 2); at += 4) {
    sum += <f64>(load<f32>(centreAt + at) * factor) * <f64>load<f32>(rotateTmp + at);
  }
  return <f32>sum;
}

/** The floats to be coded, with zeroes up to `dimPad`. */
function toBeCoded(floats: usize): usize {
  memory.copy(rotateTmp, floats, dimension << 2);
  if (centreAt != 0) takeOutCentre();
  if (factor != 1) magnify();
  if (sideFactor > 0) alongCentre = productWithCentre();
  if (rotated != 0) rotate();
  memory.fill(rotateTmp + (dimension << 2), 0, (dimPad - dimension) << 2);
  return rotateTmp;
}

@inline
function codes4(floats: usize, inverse: v128): v128 {
  return i32x4.trunc_sat_f32x4_s(v128.nearest<f32>(v128.mul<f32>(v128.load(floats), inverse)));
}

/** 16 signed codes. */
@inline
function codes16(floats: usize, inverse: f32): v128 {
  const by = f32x4.splat(inverse);
  const low = v128.narrow<i32>(codes4(floats, by), codes4(floats + 16, by));
  const high = v128.narrow<i32>(codes4(floats + 32, by), codes4(floats + 48, by));
  return v128.narrow<i16>(low, high);
}

export function largestOf(floats: usize): f32 {
  let largest: f32 = 0;
  for (let at: u32 = 0; at < dimension; at += 1) {
    largest = max<f32>(largest, abs<f32>(load<f32>(floats + (at << 2))));
  }
  return largest;
}

function scaleOf(floats: usize): f32 {
  const largest = largestOf(floats);
  // Below this, 1 / scale overflows; such a vector is as good as zero.
  return largest < 1e-30 ? 0 : largest / 127;
}

/** Zeroes a row, its numbers and its floats; level and upper lists belong to the slot and stay. */
export function eraseRow(slot: u32): void {
  const row = rowOf(slot);
  const level = load<u8>(row, AT_LEVEL);
  const upper = row + linksAt + (m0 << 2);
  const first = load<u32>(upper);
  memory.fill(row, 0, rowStride);
  store<u32>(row, NONE, AT_LABEL);
  store<u8>(row, level, AT_LEVEL);
  store<u32>(upper, first);
  memory.fill(headOf(slot), 0, coarseStride);
  memory.fill(fineOf(slot), 0, dimPad >> 1);
  memory.fill(rawOf(slot), 0, rawBytes);
}
