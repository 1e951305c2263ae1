/**
 * The compiled kernel. `kernel/*.wasm` are committed, so a fresh machine needs no compiler to
 * start; `kernel.test.ts` compiles the source again and compares the bytes.
 *
 * There are two builds. One uses the relaxed SIMD dot product, whose result may differ between
 * processors when it meets all eight bits: `probe` shows whether it is exact here (it is where
 * there is VNNI). Where it is not, the other build multiplies in 16 bits.
 */
import { readFileSync } from 'node:fs';

/** The exports of `kernel/main.ts`. Numbers come back signed where the kernel means u32. */
export interface KernelExports {
  open(thread: number): void;
  put(slot: number, label: number): void;
  remove(slot: number): number;
  link(slot: number): void;
  begin(): void;
  walk(ef: number, take: number, filterWords: number): number;
  scanSlots(count: number, take: number): void;
  scanRange(from: number, to: number, take: number, filterWords: number): void;
  finish(k: number): number;
  exactSlots(count: number): void;
  setCondemned(slot: number, on: number): void;
  mend(from: number, to: number): void;
  leaveCondemned(): void;
  free(slot: number): void;
  check(labelEnd: number): number;
  labelOf(slot: number): number;
  rawOf(slot: number): number;
  stateOf(slot: number): number;
  rawNorm2(slot: number): number;
  rawPeak(slot: number): number;
  rawPeakRotated(slot: number): number;
  probe(at: number): number;
}

export interface WasmMemory {
  readonly buffer: ArrayBuffer;
  grow(pages: number): number;
}

interface WasmModule {
  readonly compiled?: never;
}

/** The part of the standard global that is used; the compiler's own description of it comes only
 * with that of browsers. */
declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => WasmModule;
  Instance: new (module: WasmModule, imports: object) => { exports: unknown };
  Memory: new (limits: { initial: number; maximum: number }) => WasmMemory;
  validate(bytes: Uint8Array): boolean;
};

export const PAGE_BYTES = 65_536;
/** 4 GiB: what 32-bit addresses reach. */
const PAGES_MAX = 65_536;

const RELAXED_BUILD = 'kernel/kernel-relaxed.wasm';
const PLAIN_BUILD = 'kernel/kernel-plain.wasm';

/** What `probe` adds up: 16 products of 255 and -127. */
const PROBE_EXACT = 16 * 255 * -127;

let chosen: WasmModule | undefined;

/** A kernel that works on `memory`, of the build for this processor (compiled once a process). */
export function instantiate(memory: WasmMemory): KernelExports {
  chosen ??= exactRelaxed() ?? new WebAssembly.Module(read(PLAIN_BUILD));
  return instanceOf(chosen, memory);
}

/** Zeroed memory. Throws a RangeError when there is none. */
export function newMemory(bytes: number): WasmMemory {
  return new WebAssembly.Memory({ initial: Math.ceil(bytes / PAGE_BYTES), maximum: PAGES_MAX });
}

function exactRelaxed(): WasmModule | undefined {
  const bytes = read(RELAXED_BUILD);
  if (!WebAssembly.validate(bytes)) return undefined;
  const module = new WebAssembly.Module(bytes);
  return instanceOf(module, newMemory(PAGE_BYTES)).probe(1_024) === PROBE_EXACT
    ? module
    : undefined;
}

function instanceOf(module: WasmModule, memory: WasmMemory): KernelExports {
  return new WebAssembly.Instance(module, { env: { memory } }).exports as KernelExports;
}

function read(name: string): Uint8Array {
  return readFileSync(new URL(name, import.meta.url));
}
