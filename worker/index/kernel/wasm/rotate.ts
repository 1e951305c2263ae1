/** The rotation before coding (Ailon & Chazelle 2006), for uneven components. */
import { dimension, rotateTmp, seed } from './layout';

/**
 * Rotates `rotateTmp`: random signs, then a Hadamard transform of the first 2^n components, then
 * other signs and a transform of the last 2^n, with 2^n the largest power of two that fits:
 * orthogonal for any dimension without padding, and every component reaches every other when they
 * overlap or, when they do not, its half.
 */
export function rotate(): void {
  let size: u32 = 1;
  while (size << 1 <= dimension) size <<= 1;
  flipSigns(0x9e37_79b9);
  hadamard(rotateTmp, size);
  if (size < dimension) {
    flipSigns(0x7f4a_7c15);
    hadamard(rotateTmp + ((dimension - size) << 2), size);
  }
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
