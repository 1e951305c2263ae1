/**
 * Exact nearness of float rows: sums in float64, four partial sums in the order of `metric.ts`, so
 * that the two give the same score to the last bit.
 */
import { METRIC_EUCLID, METRIC_MANHATTAN, dimension, metric, rawBytes, rawOf } from './layout';

/** Written by touches, so that they are not optimised away. */
let sink: u32 = 0;

/** Reads a byte of each cache line of a float row, see `touchMany` in `codes.ts`. */
export function touchRaw(slot: u32): void {
  if (rawBytes == 0) return;
  const row = rawOf(slot);
  const span = min<usize>(dimension << 2, 1024);
  let seen: u32 = load<u8>(row + (dimension << 2) - 1);
  for (let at: usize = 0; at < span; at += 64) seen ^= load<u8>(row + at);
  sink = seen;
}

export function exact1(query: usize, slot: u32): f64 {
  const row = rawOf(slot);
  if (metric == METRIC_EUCLID) return euclid(row, query);
  if (metric == METRIC_MANHATTAN) return manhattan(row, query);
  return innerProduct(row, query);
}

/**
 * Two rows at a time, into `out`: the order of the sums leaves two chains of additions a row, and
 * what takes time is that each waits for the one before.
 */
export function exact2(query: usize, one: u32, other: u32, out: usize): void {
  if (metric == METRIC_EUCLID || metric == METRIC_MANHATTAN) {
    store<f64>(out, exact1(query, one));
    store<f64>(out, exact1(query, other), 8);
    return;
  }
  const row = rawOf(one);
  const row2 = rawOf(other);
  let ab = f64x2.splat(0);
  let cd = f64x2.splat(0);
  let ab2 = f64x2.splat(0);
  let cd2 = f64x2.splat(0);
  const end = (dimension & ~3) << 2;
  for (let at: usize = 0; at < end; at += 16) {
    const q = low(query + at);
    const r = low(query + at + 8);
    ab = f64x2.add(ab, f64x2.mul(low(row + at), q));
    cd = f64x2.add(cd, f64x2.mul(low(row + at + 8), r));
    ab2 = f64x2.add(ab2, f64x2.mul(low(row2 + at), q));
    cd2 = f64x2.add(cd2, f64x2.mul(low(row2 + at + 8), r));
  }
  store<f64>(out, total(tailed(ab, row, query, end), cd));
  store<f64>(out, total(tailed(ab2, row2, query, end), cd2), 8);
}

/** Adds the products of the components from `at` on to the first sum. */
@inline
function tailed(ab: v128, row: usize, query: usize, at: usize): v128 {
  let a = f64x2.extract_lane(ab, 0);
  for (; at < <usize>(dimension << 2); at += 4) a += at64(row + at) * at64(query + at);
  return f64x2.replace_lane(ab, 0, a);
}

@inline
function low(address: usize): v128 {
  return f64x2.promote_low_f32x4(v128.load64_zero(address));
}

@inline
function at64(address: usize): f64 {
  return <f64>load<f32>(address);
}

@inline
function total(ab: v128, cd: v128): f64 {
  return f64x2.extract_lane(ab, 0) + f64x2.extract_lane(ab, 1) + (f64x2.extract_lane(cd, 0) + f64x2.extract_lane(cd, 1));
}

function innerProduct(row: usize, query: usize): f64 {
  let ab = f64x2.splat(0);
  let cd = f64x2.splat(0);
  const end = (dimension & ~3) << 2;
  let at: usize = 0;
  for (; at < end; at += 16) {
    ab = f64x2.add(ab, f64x2.mul(low(row + at), low(query + at)));
    cd = f64x2.add(cd, f64x2.mul(low(row + at + 8), low(query + at + 8)));
  }
  return total(tailed(ab, row, query, at), cd);
}

function euclid(row: usize, query: usize): f64 {
  let ab = f64x2.splat(0);
  let cd = f64x2.splat(0);
  const end = (dimension & ~3) << 2;
  let at: usize = 0;
  for (; at < end; at += 16) {
    const w = f64x2.sub(low(row + at), low(query + at));
    const y = f64x2.sub(low(row + at + 8), low(query + at + 8));
    ab = f64x2.add(ab, f64x2.mul(w, w));
    cd = f64x2.add(cd, f64x2.mul(y, y));
  }
  let a = f64x2.extract_lane(ab, 0);
  for (; at < <usize>(dimension << 2); at += 4) {
    const w = at64(row + at) - at64(query + at);
    a += w * w;
  }
  ab = f64x2.replace_lane(ab, 0, a);
  return -total(ab, cd);
}

function manhattan(row: usize, query: usize): f64 {
  let ab = f64x2.splat(0);
  let cd = f64x2.splat(0);
  const end = (dimension & ~3) << 2;
  let at: usize = 0;
  for (; at < end; at += 16) {
    ab = f64x2.add(ab, f64x2.abs(f64x2.sub(low(row + at), low(query + at))));
    cd = f64x2.add(cd, f64x2.abs(f64x2.sub(low(row + at + 8), low(query + at + 8))));
  }
  let a = f64x2.extract_lane(ab, 0);
  for (; at < <usize>(dimension << 2); at += 4) a += abs<f64>(at64(row + at) - at64(query + at));
  ab = f64x2.replace_lane(ab, 0, a);
  return -total(ab, cd);
}
