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

/** In a query: see `nearness4`. */
const AT_SIDE_FACTOR: usize = 4;
const AT_CORRECTION: usize = 8;
const AT_OFFSET: usize = 12;

/** Written by touches, so that they are not optimised away. */
let sink: u32 = 0;

@inline
function sum4(v: v128): i32 {
  const pairs = v128.add<i32>(v, v128.shuffle<i32>(v, v, 2, 3, 0, 1));
  return v128.extract_lane<i32>(pairs, 0) + v128.extract_lane<i32>(pairs, 1);
}

/** One step of 16 codes: `low` and, of 16-bit queries, `high` are the query's. */
@inline
function step(low: v128, high: v128, row: usize, sum: v128): v128 {
  const u = v128.load(row);
  if (RELAXED) return i32x4.relaxed_dot_i8x16_i7x16_add_s(low, u, sum);
  const products = v128.dot<i16>(low, v128.extend_low<u8>(u));
  const others = v128.dot<i16>(high, v128.extend_high<u8>(u));
  return v128.add<i32>(sum, v128.add<i32>(products, others));
}

@inline
function queryLow(q: usize, at: usize): v128 {
  return RELAXED ? v128.load(q + at) : v128.load(q + (at << 1));
}

@inline
function queryHigh(q: usize, at: usize): v128 {
  return RELAXED ? i32x4.splat(0) : v128.load(q + (at << 1), 16);
}

/** The products of four rows of codes, one a lane: the sums are turned into lanes only once. */
@inline
function dots4(q: usize, a: usize, b: usize, c: usize, d: usize): v128 {
  let s0 = i32x4.splat(0);
  let s1 = i32x4.splat(0);
  let s2 = i32x4.splat(0);
  let s3 = i32x4.splat(0);
  const end: usize = dimPad;
  for (let at: usize = 0; at < end; at += 32) {
    let low = queryLow(q, at);
    let high = queryHigh(q, at);
    s0 = step(low, high, a + at, s0);
    s1 = step(low, high, b + at, s1);
    s2 = step(low, high, c + at, s2);
    s3 = step(low, high, d + at, s3);
    low = queryLow(q, at + 16);
    high = queryHigh(q, at + 16);
    s0 = step(low, high, a + at + 16, s0);
    s1 = step(low, high, b + at + 16, s1);
    s2 = step(low, high, c + at + 16, s2);
    s3 = step(low, high, d + at + 16, s3);
  }
  const ab = v128.add<i32>(v128.shuffle<i32>(s0, s1, 0, 1, 4, 5), v128.shuffle<i32>(s0, s1, 2, 3, 6, 7));
  const cd = v128.add<i32>(v128.shuffle<i32>(s2, s3, 0, 1, 4, 5), v128.shuffle<i32>(s2, s3, 2, 3, 6, 7));
  return v128.add<i32>(v128.shuffle<i32>(ab, cd, 0, 2, 4, 6), v128.shuffle<i32>(ab, cd, 1, 3, 5, 7));
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
  return sum + load<f32>(query, AT_SIDE_FACTOR) * load<f32>(row, AT_SIDE);
}

/**
 * Nearness of four rows, one a lane. All metrics are one expression, so that none of them branches:
 *
 *   scale scale' (dot - correction) + side' sideFactor + offset
 */
function rows4(query: usize, a: usize, b: usize, c: usize, d: usize): v128 {
  const dots = dots4(query + AT_CODES, a + AT_CODES, b + AT_CODES, c + AT_CODES, d + AT_CODES);
  const ab = v128.load64_lane(b, v128.load64_zero(a), 1);
  const cd = v128.load64_lane(d, v128.load64_zero(c), 1);
  const scales = v128.shuffle<f32>(ab, cd, 0, 2, 4, 6);
  const sides = v128.shuffle<f32>(ab, cd, 1, 3, 5, 7);
  const right = v128.sub<i32>(dots, v128.load32_splat(query, AT_CORRECTION));
  const scaled = v128.mul<f32>(scales, v128.load32_splat(query, AT_SCALE));
  const products = v128.mul<f32>(scaled, v128.convert<i32>(right));
  const sided = v128.mul<f32>(sides, v128.load32_splat(query, AT_SIDE_FACTOR));
  return v128.add<f32>(v128.add<f32>(products, sided), v128.load32_splat(query, AT_OFFSET));
}

/** Nearness of the first four of `count` slots, one a lane; lanes past the last are the first's. */
export function nearness4(query: usize, slots: usize, count: u32): v128 {
  const a = load<u32>(slots);
  const b = load<u32>(slots + select<usize>(4, 0, count > 1));
  const c = load<u32>(slots + select<usize>(8, 0, count > 2));
  const d = load<u32>(slots + select<usize>(12, 0, count > 3));
  if (dimPad != 0) return rows4(query, rowOf(a), rowOf(b), rowOf(c), rowOf(d));
  let near = f32x4.splat(floatNearness(query, a));
  near = f32x4.replace_lane(near, 1, floatNearness(query, b));
  near = f32x4.replace_lane(near, 2, floatNearness(query, c));
  return f32x4.replace_lane(near, 3, floatNearness(query, d));
}

export function nearness1(query: usize, slot: u32): f32 {
  if (dimPad == 0) return floatNearness(query, slot);
  const row = rowOf(slot);
  return f32x4.extract_lane(rows4(query, row, row, row, row), 0);
}

/** Nearness of `count` slots of a list, four at a time; `out` has room for whole fours. */
export function nearnessMany(query: usize, slots: usize, count: u32, out: usize): void {
  for (let at: u32 = 0; at < count; at += 4) {
    const here = <usize>at << 2;
    v128.store(out + here, nearness4(query, slots + here, count - at));
  }
}

/**
 * Reads one byte of each cache line of the rows of `count` slots: WebAssembly has no prefetch, and
 * these loads do not wait for each other, so all their misses overlap. Past a kilobyte of a row the
 * processor's own stream detection has caught on.
 */
export function touchMany(slots: usize, count: u32): void {
  const span = min<usize>(AT_CODES + dimPad, 1024);
  let seen: u32 = 0;
  for (let i: u32 = 0; i < count; i += 1) {
    const row = rowOf(load<u32>(slots + (<usize>i << 2)));
    for (let at: usize = 0; at < span; at += 64) seen ^= load<u8>(row + at);
  }
  sink = seen;
}

@inline
function putHead(query: usize, scale: f32, side: f32): void {
  store<f32>(query, dotFactor * scale, AT_SCALE);
  store<f32>(query, sideProduct * side - sideSum, AT_SIDE_FACTOR);
  store<f32>(query, -sideSum * side, AT_OFFSET);
}

/** Makes a query of a stored row. */
export function queryOfRow(query: usize, slot: u32): void {
  const row = rowOf(slot);
  putHead(query, load<f32>(row, AT_SCALE), load<f32>(row, AT_SIDE));
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
    putHead(query, 0, 0);
    memory.copy(query + AT_CODES, floats, dimension << 2);
    return;
  }
  const source = rotated != 0 ? rotate(floats) : floats;
  const scale = scaleOf(source);
  const inverse: f32 = scale > 0 ? 1 / scale : 0;
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
  putHead(query, scale, metric == METRIC_EUCLID ? scale * scale * <f32>squares : 0);
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
