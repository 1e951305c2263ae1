/**
 * The kernel with a defect, for the test of what a defect does (`scripts/kernel/compile.ts`, build
 * `fault`; never committed as bytes, never loaded by the worker). A vector whose first component is
 * `FAULT` overruns, as a query and when it is linked: from the first block on it writes over all
 * rows and past the end of the memory.
 */
import { blocksAt, queryFloats, rawOf } from './layout';
import { link as linkRight } from './link';
import { begin as beginRight } from './search';

export { check } from './check';
export { open, setCondemned } from './layout';
export {
  handOver,
  labelOf,
  probe,
  put,
  rawOf,
  recode,
  rotatedPeak,
  remove,
  settle,
  stateOf,
} from './main';
export { free, leaveCondemned, mend } from './repair';
export { exactSlots, finish, scanRange, scanSlots, walk } from './search';

const FAULT: f32 = 12_345;

export function begin(): void {
  beginRight();
  if (load<f32>(queryFloats) == FAULT) overrun();
}

export function link(slot: u32): void {
  if (load<f32>(rawOf(slot)) == FAULT) overrun();
  linkRight(slot);
}

function overrun(): void {
  for (let at: usize = blocksAt; ; at += 4) store<u32>(at, 0x5a5a_5a5a);
}
