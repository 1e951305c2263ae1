/**
 * Codes and their products. A *query* in scratch has the shape of a row: scale, side, then (where a
 * row has its label) the correction for the offset of the codes, then its own codes, signed:
 *
 *   sum(u q) - 128 sum(q) = sum((u - 128) q)       u = stored code, q = code of the query
 *
 * so the stored side can be unsigned, which is what the widest instruction wants
 * (`relaxed_dot_i8x16_i7x16_add_s` is VPDPBUSD where there is VNNI, exact for all 8 bits; the host
 * tries it at start and takes the other build where it saturates). Without it, 16-bit products:
 * the query is then stored as i16.
 */
import {
  AT_CODES,
  AT_LABEL,
  AT_LEVEL,
  AT_SCALE,
  AT_SIDE,
  METRIC_DOT,
  METRIC_EUCLID,
  NONE,
  RELAXED,
  dimPad,
  dimension,
  dotFactor,
  linksAt,
  m0,
  maxNorm2,
  metric,
  rawBytes,
  rawOf,
  rotateTmp,
  rotated,
  rowOf,
  rowStride,
  seed,
  sideProduct,
  sideSum,
} from './layout';

const AT_CORRECTION: usize = 8;

let dot0: i32 = 0;
let dot1: i32 = 0;
let dot2: i32 = 0;
let dot3: i32 = 0;
/** Written by touches, so that they are not optimised away. */
export let sink: u32 = 0;

@inline
function sum4(v: v128): i32 {
  const pairs = v128.add<i32>(v, v128.shuffle<i32>(v, v, 2, 3, 0, 1));
  return v128.extract_lane<i32>(pairs, 0) + v128.extract_lane<i32>(pairs, 1);
}

/** One step of 16 codes: `q` at the query's place for it. */
@inline
function step(q: usize, at: usize, row: usize, sum: v128): v128 {
  if (RELAXED) {
    return i32x4.relaxed_dot_i8x16_i7x16_add_s(v128.load(q + at), v128.load(row + at), sum);
  }
  const u = v128.load(row + at);
  const low = v128.dot<i16>(v128.load(q + (at << 1)), v128.extend_low<u8>(u));
  const high = v128.dot<i16>(v128.load(q + (at << 1), 16), v128.extend_high<u8>(u));
  return v128.add<i32>(sum, v128.add<i32>(low, high));
}

function dots4(q: usize, a: usize, b: usize, c: usize, d: usize): void {
  let s0 = i32x4.splat(0);
  let s1 = i32x4.splat(0);
  let s2 = i32x4.splat(0);
  let s3 = i32x4.splat(0);
  let t0 = i32x4.splat(0);
  let t1 = i32x4.splat(0);
  let t2 = i32x4.splat(0);
  let t3 = i32x4.splat(0);
  const end: usize = dimPad;
  for (let at: usize = 0; at < end; at += 32) {
    s0 = step(q, at, a, s0);
    s1 = step(q, at, b, s1);
    s2 = step(q, at, c, s2);
    s3 = step(q, at, d, s3);
    t0 = step(q, at + 16, a, t0);
    t1 = step(q, at + 16, b, t1);
    t2 = step(q, at + 16, c, t2);
    t3 = step(q, at + 16, d, t3);
  }
  dot0 = sum4(v128.add<i32>(s0, t0));
  dot1 = sum4(v128.add<i32>(s1, t1));
  dot2 = sum4(v128.add<i32>(s2, t2));
  dot3 = sum4(v128.add<i32>(s3, t3));
}

function dots1(q: usize, a: usize): i32 {
  let s0 = i32x4.splat(0);
  let s1 = i32x4.splat(0);
  const end: usize = dimPad;
  for (let at: usize = 0; at < end; at += 32) {
    s0 = step(q, at, a, s0);
    s1 = step(q, at + 16, a, s1);
  }
  return sum4(v128.add<i32>(s0, s1));
}

/** Nearness of float rows: in few dimensions a byte a component is too coarse to tell neighbours. */
function floatNearness(query: usize, slot: u32): f32 {
  const q = query + AT_CODES;
  const raw = rawOf(slot);
  const row = rowOf(slot);
  let sum: f32 = 0;
  if (metric == METRIC_EUCLID) {
    for (let at: usize = 0; at < <usize>(dimension << 2); at += 4) {
      const apart = load<f32>(q + at) - load<f32>(raw + at);
      sum -= apart * apart;
    }
    return sum;
  }
  for (let at: usize = 0; at < <usize>(dimension << 2); at += 4) {
    sum += load<f32>(q + at) * load<f32>(raw + at);
  }
  return sum + sideProduct * load<f32>(query, AT_SIDE) * load<f32>(row, AT_SIDE);
}

@inline
function nearnessOf(query: usize, row: usize, dot: i32): f32 {
  const scales = load<f32>(query, AT_SCALE) * load<f32>(row, AT_SCALE);
  const product = scales * <f32>(dot - load<i32>(query, AT_CORRECTION));
  const mine = load<f32>(query, AT_SIDE);
  const side = load<f32>(row, AT_SIDE);
  return dotFactor * product + sideProduct * mine * side - sideSum * (mine + side);
}

export function nearness1(query: usize, slot: u32): f32 {
  if (dimPad == 0) return floatNearness(query, slot);
  const row = rowOf(slot);
  return nearnessOf(query, row, dots1(query + AT_CODES, row + AT_CODES));
}

/** Nearness of `count` slots of a list, four rows at a time. */
export function nearnessMany(query: usize, slots: usize, count: u32, out: usize): void {
  const q = query + AT_CODES;
  let at: u32 = 0;
  for (; dimPad != 0 && at + 4 <= count; at += 4) {
    const a = rowOf(load<u32>(slots + (at << 2)));
    const b = rowOf(load<u32>(slots + (at << 2), 4));
    const c = rowOf(load<u32>(slots + (at << 2), 8));
    const d = rowOf(load<u32>(slots + (at << 2), 12));
    dots4(q, a + AT_CODES, b + AT_CODES, c + AT_CODES, d + AT_CODES);
    store<f32>(out + (at << 2), nearnessOf(query, a, dot0));
    store<f32>(out + (at << 2), nearnessOf(query, b, dot1), 4);
    store<f32>(out + (at << 2), nearnessOf(query, c, dot2), 8);
    store<f32>(out + (at << 2), nearnessOf(query, d, dot3), 12);
  }
  for (; at < count; at += 1) {
    store<f32>(out + (at << 2), nearness1(query, load<u32>(slots + (at << 2))));
  }
}

/**
 * Reads one byte of each cache line of a row: WebAssembly has no prefetch, and these loads do not
 * wait for each other, so the misses of all neighbours overlap. Past a kilobyte the processor's own
 * stream detection has caught on.
 */
@inline
export function touch(slot: u32): void {
  const row = rowOf(slot);
  const span = min<usize>(AT_CODES + dimPad, 1024);
  let seen: u32 = 0;
  for (let at: usize = 0; at < span; at += 64) seen |= load<u8>(row + at);
  sink = seen;
}

/** Makes a query of a stored row. */
export function queryOfRow(query: usize, slot: u32): void {
  const row = rowOf(slot);
  store<f32>(query, load<f32>(row, AT_SCALE), AT_SCALE);
  store<f32>(query, load<f32>(row, AT_SIDE), AT_SIDE);
  if (dimPad == 0) {
    memory.copy(query + AT_CODES, rawOf(slot), dimension << 2);
    return;
  }
  let sums = i32x4.splat(0);
  const flip = i8x16.splat(-128);
  for (let at: usize = 0; at < <usize>dimPad; at += 16) {
    const signed = v128.xor(v128.load(row + AT_CODES + at), flip);
    putCodes(query, at, signed);
    sums = v128.add<i32>(sums, i32x4.extadd_pairwise_i16x8_s(i16x8.extadd_pairwise_i8x16_s(signed)));
  }
  store<i32>(query, 128 * sum4(sums), AT_CORRECTION);
}

@inline
function putCodes(query: usize, at: usize, signed: v128): void {
  if (RELAXED) {
    v128.store(query + AT_CODES + at, signed);
  } else {
    v128.store(query + AT_CODES + (at << 1), v128.extend_low<i8>(signed));
    v128.store(query + AT_CODES + (at << 1), v128.extend_high<i8>(signed), 16);
  }
}

/** Makes a query of floats. */
export function queryOfFloats(query: usize, floats: usize): void {
  if (dimPad == 0) {
    store<f32>(query, 0, AT_SIDE);
    memory.copy(query + AT_CODES, floats, dimension << 2);
    return;
  }
  const source = rotated != 0 ? rotate(floats) : floats;
  const scale = scaleOf(source);
  const inverse: f32 = scale > 0 ? 1 / scale : 0;
  store<f32>(query, scale, AT_SCALE);
  let sum: i32 = 0;
  let squares: i32 = 0;
  for (let at: u32 = 0; at < dimPad; at += 1) {
    const x: f32 = at < dimension ? load<f32>(source + (at << 2)) : 0;
    const code = codeOf(x, inverse);
    if (RELAXED) store<i8>(query + AT_CODES + at, <i8>code);
    else store<i16>(query + AT_CODES + (at << 1), <i16>code);
    sum += code;
    squares += code * code;
  }
  store<f32>(query, metric == METRIC_EUCLID ? scale * scale * <f32>squares : 0, AT_SIDE);
  store<i32>(query, 128 * sum, AT_CORRECTION);
}

/** Writes the codes, the scale and the side of a row. */
export function encodeRow(slot: u32, raw: usize): void {
  const row = rowOf(slot);
  if (dimPad == 0) {
    if (metric == METRIC_DOT) store<f32>(row, sideOfDot(raw), AT_SIDE);
    return;
  }
  const source = rotated != 0 ? rotate(raw) : raw;
  const scale = scaleOf(source);
  const inverse: f32 = scale > 0 ? 1 / scale : 0;
  store<f32>(row, scale, AT_SCALE);
  let squares: i32 = 0;
  for (let at: u32 = 0; at < dimPad; at += 1) {
    const x: f32 = at < dimension ? load<f32>(source + (at << 2)) : 0;
    const code = codeOf(x, inverse);
    store<u8>(row + AT_CODES + at, <u8>(code + 128));
    squares += code * code;
  }
  let side: f32 = 0;
  if (metric == METRIC_EUCLID) side = scale * scale * <f32>squares;
  else if (metric == METRIC_DOT) side = sideOfDot(raw);
  store<f32>(row, side, AT_SIDE);
}

@inline
function sideOfDot(raw: usize): f32 {
  return sqrt<f32>(max<f32>(0, maxNorm2 - norm2(raw)));
}

@inline
function codeOf(x: f32, inverse: f32): i32 {
  return min<i32>(127, max<i32>(-127, <i32>nearest<f32>(x * inverse)));
}

function scaleOf(floats: usize): f32 {
  let largest: f32 = 0;
  for (let at: u32 = 0; at < dimension; at += 1) {
    largest = max<f32>(largest, abs<f32>(load<f32>(floats + (at << 2))));
  }
  // Below this, 1 / scale overflows; such a vector is as good as zero.
  return largest < 1e-30 ? 0 : largest / 127;
}

export function norm2(floats: usize): f32 {
  let sum: f32 = 0;
  for (let at: u32 = 0; at < dimension; at += 1) {
    const x = load<f32>(floats + (at << 2));
    sum += x * x;
  }
  return sum;
}

/** Zeroes a row, its links and its floats; level and upper lists belong to the slot and stay. */
export function eraseRow(slot: u32): void {
  const row = rowOf(slot);
  const level = load<u8>(row, AT_LEVEL);
  const upper = row + linksAt + (m0 << 2);
  const first = load<u32>(upper);
  memory.fill(row, 0, rowStride);
  store<u32>(row, NONE, AT_LABEL);
  store<u8>(row, level, AT_LEVEL);
  store<u32>(upper, first);
  memory.fill(rawOf(slot), 0, rawBytes);
}

/**
 * Random signs, then a Hadamard transform of the first 2^n components, then other signs and a
 * transform of the last 2^n, with 2^n the largest power of two that fits: orthogonal for any
 * dimension without padding, and every component reaches every other when they overlap or, when
 * they do not, its half.
 */
export function rotate(floats: usize): usize {
  let size: u32 = 1;
  while (size << 1 <= dimension) size <<= 1;
  memory.copy(rotateTmp, floats, dimension << 2);
  flipSigns(0x9e37_79b9);
  hadamard(rotateTmp, size);
  if (size < dimension) {
    flipSigns(0x7f4a_7c15);
    hadamard(rotateTmp + ((dimension - size) << 2), size);
  }
  return rotateTmp;
}

function flipSigns(salt: u32): void {
  let state: u32 = seed ^ salt;
  for (let at: u32 = 0; at < dimension; at += 1) {
    state = state * 1_664_525 + 1_013_904_223;
    if (state >> 31) {
      store<f32>(rotateTmp + (at << 2), -load<f32>(rotateTmp + (at << 2)));
    }
  }
}

function hadamard(floats: usize, size: u32): void {
  for (let half: u32 = 1; half < size; half <<= 1) {
    for (let start: u32 = 0; start < size; start += half << 1) {
      for (let at = start; at < start + half; at += 1) {
        const a = floats + (at << 2);
        const b = a + (half << 2);
        const x = load<f32>(a);
        const y = load<f32>(b);
        store<f32>(a, x + y);
        store<f32>(b, x - y);
      }
    }
  }
  const shrink: f32 = 1 / sqrt<f32>(<f32>size);
  for (let at: u32 = 0; at < size; at += 1) {
    store<f32>(floats + (at << 2), load<f32>(floats + (at << 2)) * shrink);
  }
}

/** How many times larger the largest component is than the root mean square: what coding pays. */
export function peak(floats: usize): f32 {
  const total = norm2(floats);
  if (total == 0) return 0;
  return (scaleOf(floats) * 127) / sqrt<f32>(total / <f32>dimension);
}

/** The same after a rotation. */
export function peakRotated(floats: usize): f32 {
  return peak(rotate(floats));
}
