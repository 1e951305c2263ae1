/**
 * Codes and their products. A *query* in scratch has numbers of its own and its codes, signed. With
 * u = stored code, q = code of the query
 *
 *   sum(u q) - 128 sum(q) = sum((u - 128) q)
 *
 * so the stored side can be unsigned, which is what the widest instruction wants
 * (`relaxed_dot_i8x16_i7x16_add_s` is VPDPBUSD where there is VNNI, exact for all 8 bits; the host
 * tries it at start and takes the other build where it saturates). Without it, 16-bit products:
 * the query is then stored as i16.
 *
 * Each 16 bytes of a plane are 32 components: the lower halves of the bytes are the first 16, the
 * upper halves the others, which are multiplied in place and so count 16 times.
 *
 * A coarse product takes only the upper four bits, h = (u & 240) - 120.5. As an estimate of the
 * whole vector x it is scaled by x^2 / hx, which leaves an error at right angles to x (Gao & Long
 * 2024, RaBitQ, section 3.1): right for what lies close to x, whatever its distribution. Elsewhere
 * the error's part along a query is a chance: its length over sqrt(dimension), times the query's.
 */
import {
  METRIC_EUCLID,
  RELAXED,
  coarseStride,
  dimPad,
  dimension,
  fineOf,
  headOf,
  codedMetric,
  plainRows,
  rawOf,
  reader,
  sideFactor,
} from './layout';

/** The numbers of a row's codes. */
export const AT_SCALE: usize = 0;
export const AT_SIDE: usize = 4;
export const AT_COARSE_SCALE: usize = 8;
export const AT_COARSE_ERROR: usize = 12;
/** Where the first plane is behind them. */
export const AT_PLANE: usize = 16;

/** Those of a query, see `fineNear` and `coarseNear`. */
export const Q_SCALE: usize = 0;
export const Q_SIDE: usize = 4;
export const Q_CORRECTION: usize = 8;
export const Q_OFFSET: usize = 12;
export const Q_COARSE_CORRECTION: usize = 16;
export const Q_LENGTH: usize = 20;
export const Q_CODES: usize = 32;

/** A row in scratch is its numbers, then its codes. */
const PLAIN_HEAD: usize = 16;

/** Components from which the first plane alone saves a cache line. */
const COARSE_FROM: u32 = 128;

/** Written by touches, so that they are not optimised away. */
let sink: u32 = 0;

/** A vector of bytes that is no constant: V8 makes those again at each use, in loops, too. */
@inline
export function held(byte: i32): v128 {
  return i8x16.splat(<i8>(byte + <i32>(reader >> 8)));
}

@inline
export function sum4(v: v128): i32 {
  const pairs = v128.add<i32>(v, v128.shuffle<i32>(v, v, 2, 3, 0, 1));
  return v128.extract_lane<i32>(pairs, 0) + v128.extract_lane<i32>(pairs, 1);
}

/** One step of 16 codes: `low` and, of 16-bit queries, `high` are the query's. */
@inline
function step(low: v128, high: v128, u: v128, sum: v128): v128 {
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

@inline
function pairs(a: v128, b: v128): v128 {
  return v128.add<i32>(v128.shuffle<i32>(a, b, 0, 1, 4, 5), v128.shuffle<i32>(a, b, 2, 3, 6, 7));
}

/** The sums of four vectors, one a lane. */
@inline
function lanes4(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = pairs(a, b);
  const cd = pairs(c, d);
  const even = v128.shuffle<i32>(ab, cd, 0, 2, 4, 6);
  return v128.add<i32>(even, v128.shuffle<i32>(ab, cd, 1, 3, 5, 7));
}

/** 16 times the products of one plane of four rows, one a lane. */
@inline
function plane4(q: usize, aAt: usize, bAt: usize, cAt: usize, dAt: usize): v128 {
  const lower = held(15);
  let a0 = i32x4.splat(0);
  let a1 = i32x4.splat(0);
  let b0 = i32x4.splat(0);
  let b1 = i32x4.splat(0);
  let c0 = i32x4.splat(0);
  let c1 = i32x4.splat(0);
  let d0 = i32x4.splat(0);
  let d1 = i32x4.splat(0);
  const end: usize = dimPad >> 1;
  for (let at: usize = 0; at < end; at += 16) {
    const low = queryLow(q, at << 1);
    const high = queryHigh(q, at << 1);
    const low1 = queryLow(q, (at << 1) + 16);
    const high1 = queryHigh(q, (at << 1) + 16);
    const a = v128.load(aAt + at);
    const aLow = v128.and(a, lower);
    a0 = step(low, high, aLow, a0);
    a1 = step(low1, high1, v128.xor(a, aLow), a1);
    const b = v128.load(bAt + at);
    const bLow = v128.and(b, lower);
    b0 = step(low, high, bLow, b0);
    b1 = step(low1, high1, v128.xor(b, bLow), b1);
    const c = v128.load(cAt + at);
    const cLow = v128.and(c, lower);
    c0 = step(low, high, cLow, c0);
    c1 = step(low1, high1, v128.xor(c, cLow), c1);
    const d = v128.load(dAt + at);
    const dLow = v128.and(d, lower);
    d0 = step(low, high, dLow, d0);
    d1 = step(low1, high1, v128.xor(d, dLow), d1);
  }
  const first = v128.shl<i32>(lanes4(a0, b0, c0, d0), 4);
  return v128.add<i32>(first, lanes4(a1, b1, c1, d1));
}

/** Nearness of float rows: in few dimensions a byte a component is too coarse to tell neighbours. */
function floatNearness(query: usize, slot: u32): f32 {
  const q = query + Q_CODES;
  const raw = rawOf(slot);
  let sum: f32 = 0;
  if (codedMetric == METRIC_EUCLID) {
    for (let at: usize = 0; at < <usize>(dimension << 2); at += 4) {
      const apart = load<f32>(q + at) - load<f32>(raw + at);
      sum -= apart * apart;
    }
    return sum;
  }
  for (let at: usize = 0; at < <usize>(dimension << 2); at += 4) {
    sum += load<f32>(q + at) * load<f32>(raw + at);
  }
  return sum + load<f32>(query, Q_SIDE) * load<f32>(headOf(slot), AT_SIDE);
}

/**
 * Nearness of the slots, one a lane. All metrics are one expression, so that none of them branches:
 *
 *   fine     scale scale' (dot - correction) + side' sideFactor + offset
 *   coarse   the same with the coarse scale of the row, and the benefit of the doubt
 */
function fineNear(query: usize, a: u32, b: u32, c: u32, d: u32): v128 {
  const q = query + Q_CODES;
  const low = plane4(q, fineOf(a), fineOf(b), fineOf(c), fineOf(d));
  const i = headOf(a);
  const j = headOf(b);
  const k = headOf(c);
  const l = headOf(d);
  const high = plane4(q, i + AT_PLANE, j + AT_PLANE, k + AT_PLANE, l + AT_PLANE);
  return nearByCodes(query, v128.add<i32>(high, v128.shr<i32>(low, 4)), i, j, k, l);
}

/** The fine expression of four products and their heads. */
@inline
function nearByCodes(query: usize, dots: v128, a: usize, b: usize, c: usize, d: usize): v128 {
  const ab = v128.load64_lane(b, v128.load64_zero(a), 1);
  const cd = v128.load64_lane(d, v128.load64_zero(c), 1);
  const scales = v128.shuffle<f32>(ab, cd, 0, 2, 4, 6);
  const sides = v128.shuffle<f32>(ab, cd, 1, 3, 5, 7);
  const right = v128.convert<i32>(v128.sub<i32>(dots, v128.load32_splat(query, Q_CORRECTION)));
  return nearOf(query, v128.mul<f32>(scales, right), sides);
}

function coarseNear(query: usize, slots: usize): v128 {
  const q = query + Q_CODES;
  const aAt = headOf(load<u32>(slots));
  const bAt = headOf(load<u32>(slots, 4));
  const cAt = headOf(load<u32>(slots, 8));
  const dAt = headOf(load<u32>(slots, 12));
  const dots = plane4(q, aAt + AT_PLANE, bAt + AT_PLANE, cAt + AT_PLANE, dAt + AT_PLANE);
  // Atomic, so that no head is loaded earlier and takes a register meanwhile.
  const correction = f32x4.splat(reinterpret<f32>(atomic.load<u32>(query, Q_COARSE_CORRECTION)));
  const ab = v128.load64_lane(bAt, v128.load64_zero(aAt, AT_COARSE_SCALE), 1, AT_COARSE_SCALE);
  const cd = v128.load64_lane(dAt, v128.load64_zero(cAt, AT_COARSE_SCALE), 1, AT_COARSE_SCALE);
  const scales = v128.shuffle<f32>(ab, cd, 0, 2, 4, 6);
  const errors = v128.shuffle<f32>(ab, cd, 1, 3, 5, 7);
  const right = v128.sub<f32>(v128.convert<i32>(dots), correction);
  const doubt = v128.mul<f32>(errors, v128.load32_splat(query, Q_LENGTH));
  const products = v128.add<f32>(v128.mul<f32>(scales, right), doubt);
  if (sideFactor == 0) return v128.mul<f32>(products, v128.load32_splat(query, Q_SCALE));
  let sides = v128.load32_zero(aAt, AT_SIDE);
  sides = v128.load32_lane(bAt, sides, 1, AT_SIDE);
  sides = v128.load32_lane(cAt, sides, 2, AT_SIDE);
  return nearOf(query, products, v128.load32_lane(dAt, sides, 3, AT_SIDE));
}

@inline
function nearOf(query: usize, products: v128, sides: v128): v128 {
  const scaled = v128.mul<f32>(products, v128.load32_splat(query, Q_SCALE));
  const sided = v128.mul<f32>(sides, v128.load32_splat(query, Q_SIDE));
  return v128.add<f32>(v128.add<f32>(scaled, sided), v128.load32_splat(query, Q_OFFSET));
}

/** Nearness of the first four of `count` slots, one a lane; lanes past the last are the first's. */
export function nearness4(query: usize, slots: usize, count: u32): v128 {
  const a = load<u32>(slots);
  const b = load<u32>(slots + select<usize>(4, 0, count > 1));
  const c = load<u32>(slots + select<usize>(8, 0, count > 2));
  const d = load<u32>(slots + select<usize>(12, 0, count > 3));
  if (dimPad != 0) return fineNear(query, a, b, c, d);
  return floats4(query, a, b, c, d);
}

function floats4(query: usize, a: u32, b: u32, c: u32, d: u32): v128 {
  let near = f32x4.splat(floatNearness(query, a));
  near = f32x4.replace_lane(near, 1, floatNearness(query, b));
  near = f32x4.replace_lane(near, 2, floatNearness(query, c));
  return f32x4.replace_lane(near, 3, floatNearness(query, d));
}

export function nearness1(query: usize, slot: u32): f32 {
  if (dimPad == 0) return floatNearness(query, slot);
  return f32x4.extract_lane(fineNear(query, slot, slot, slot, slot), 0);
}

/**
 * Rows in scratch whose codes are in one piece again, for those that are compared many times:
 * makes the query's row the one at `at`.
 */
export function keepPlain(query: usize, slot: u32, at: u32): void {
  const to = plainOf(at);
  v128.store(to, v128.load(headOf(slot)));
  if (dimPad == 0) {
    store<u32>(to, slot);
    return;
  }
  const flip = held(128);
  for (let code: usize = 0; code < <usize>dimPad; code += 16) {
    const low = queryLow(query + Q_CODES, code);
    const signed = RELAXED ? low : v128.narrow<i16>(low, queryHigh(query + Q_CODES, code));
    v128.store(to + PLAIN_HEAD + code, v128.xor(signed, flip));
  }
}

@inline
function plainOf(at: u32): usize {
  return plainRows + <usize>at * (PLAIN_HEAD + dimPad);
}

/** Whether one of the first `count` rows in scratch is nearer to the query than `near`. */
export function isPlainNearer(query: usize, near: f32, count: u32): bool {
  for (let at: u32 = 0; at < count; at += 4) {
    const i = plainOf(at);
    const j = plainOf(min<u32>(at + 1, count - 1));
    const k = plainOf(min<u32>(at + 2, count - 1));
    const l = plainOf(min<u32>(at + 3, count - 1));
    const all =
      dimPad == 0
        ? floats4(query, load<u32>(i), load<u32>(j), load<u32>(k), load<u32>(l))
        : plainNear(query, i, j, k, l);
    if (v128.any_true(v128.gt<f32>(all, f32x4.splat(near)))) return true;
  }
  return false;
}

function plainNear(query: usize, i: usize, j: usize, k: usize, l: usize): v128 {
  const q = query + Q_CODES;
  let s0 = i32x4.splat(0);
  let s1 = i32x4.splat(0);
  let s2 = i32x4.splat(0);
  let s3 = i32x4.splat(0);
  const end: usize = dimPad;
  for (let at: usize = 0; at < end; at += 16) {
    const low = queryLow(q, at);
    const high = queryHigh(q, at);
    s0 = step(low, high, v128.load(i + at, PLAIN_HEAD), s0);
    s1 = step(low, high, v128.load(j + at, PLAIN_HEAD), s1);
    s2 = step(low, high, v128.load(k + at, PLAIN_HEAD), s2);
    s3 = step(low, high, v128.load(l + at, PLAIN_HEAD), s3);
  }
  return nearByCodes(query, lanes4(s0, s1, s2, s3), i, j, k, l);
}

/** Nearness of `count` slots of a list, four at a time; `out` has room for whole fours. */
export function nearnessMany(query: usize, slots: usize, count: u32, out: usize): void {
  for (let at: u32 = 0; at < count; at += 4) {
    const here = <usize>at << 2;
    v128.store(out + here, nearness4(query, slots + here, count - at));
  }
}

/** Which of the lanes, `count` of them used, are not farther than `worst`. */
@inline
export function lanesWithin(near: v128, worst: f32, count: u32): u32 {
  const out = i32x4.bitmask(v128.lt<f32>(near, f32x4.splat(worst)));
  return ~out & (count < 4 ? (1 << count) - 1 : 15);
}

/** Makes a list whole fours: what stands behind its last is read, too. */
@inline
export function padList(slots: usize, count: u32): void {
  v128.store(slots + (<usize>count << 2), v128.load32_splat(slots));
}

/** Which of the first four of `count` slots (of a padded list) may be as near as `worst` by their
 * first plane. */
export function maybeWithin(query: usize, slots: usize, count: u32, worst: f32): u32 {
  if (dimPad < COARSE_FROM) return lanesWithin(f32x4.splat(worst), worst, count);
  return lanesWithin(coarseNear(query, slots), worst, count);
}

/** Leaves in the list those that may be as near as `worst`; how many. */
export function sift(query: usize, slots: usize, count: u32, worst: f32): u32 {
  if (dimPad < COARSE_FROM || worst == -Infinity || count == 0) return count;
  padList(slots, count);
  let left: u32 = 0;
  for (let at: u32 = 0; at < count; at += 4) {
    const four = slots + (<usize>at << 2);
    const lanes = maybeWithin(query, four, count - at, worst);
    const all = v128.load(four);
    // Written in any case, as in `gather`.
    store<u32>(slots + (<usize>left << 2), i32x4.extract_lane(all, 0));
    left += lanes & 1;
    store<u32>(slots + (<usize>left << 2), i32x4.extract_lane(all, 1));
    left += (lanes >> 1) & 1;
    store<u32>(slots + (<usize>left << 2), i32x4.extract_lane(all, 2));
    left += (lanes >> 2) & 1;
    store<u32>(slots + (<usize>left << 2), i32x4.extract_lane(all, 3));
    left += lanes >> 3;
  }
  return left;
}

/**
 * Reads one byte of each cache line of heads and first planes of `count` slots: WebAssembly has no
 * prefetch, and these loads do not wait for each other, so all their misses overlap. Past a
 * kilobyte the processor's own stream detection has caught on.
 */
export function touchCoarse(slots: usize, count: u32): void {
  const span = min<usize>(coarseStride, 1024);
  let seen: u32 = 0;
  for (let i: u32 = 0; i < count; i += 1) {
    const codes = headOf(load<u32>(slots + (<usize>i << 2)));
    for (let at: usize = 0; at < span; at += 64) seen ^= load<u8>(codes + at);
  }
  sink = seen;
}

/** The same for the second plane. */
export function touchFine(slots: usize, count: u32): void {
  const span = min<usize>(dimPad >> 1, 1024);
  let seen: u32 = 0;
  for (let i: u32 = 0; i < count; i += 1) {
    const codes = fineOf(load<u32>(slots + (<usize>i << 2)));
    for (let at: usize = 0; at < span; at += 64) seen ^= load<u8>(codes + at);
  }
  sink = seen;
}
