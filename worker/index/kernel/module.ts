/**
 * The compiled kernel. `wasm/*.wasm` are committed, so a fresh machine needs no compiler to
 * start; `test/kernel/compile.test.ts` compiles the source again and compares the bytes.
 *
 * There are three builds of the one source. A memory with a graph is shared with the building
 * thread, and has two: `relaxed` uses the relaxed SIMD dot product, whose result may differ between
 * processors when it meets all eight bits; `probe` shows whether it is exact here (it is where there
 * is VNNI), and where it is not, `plain` multiplies in 16 bits. A memory of floats only is not
 * shared and takes `floats`.
 */
import { readFileSync } from 'node:fs';

/** The exports of `wasm/main.ts`. Numbers come back signed where the kernel means u32. */
export interface KernelExports {
  open(thread: number): void;
  put(slot: number, label: number): void;
  recode(slot: number): void;
  remove(slot: number): number;
  handOver(slot: number): void;
  settle(slot: number): number;
  link(slot: number): void;
  begin(): void;
  allowLive(filterWords: number): number;
  walk(ef: number, take: number, filterWords: number): number;
  scanSlots(count: number, take: number): void;
  scanLabels(filterWords: number, take: number): void;
  scanRange(from: number, to: number, take: number, filterWords: number): void;
  finish(k: number): number;
  exactSlots(count: number): void;
  setCondemned(slot: number, on: number): void;
  mend(from: number, to: number): void;
  leaveCondemned(): void;
  free(slot: number): void;
  check(labelEnd: number): number;
  labelOf(slot: number): number;
  stateOf(slot: number): number;
  rotatedPeak(): number;
  probe(at: number): number;
}

export interface WasmMemory {
  readonly buffer: ArrayBufferLike;
  grow(pages: number): number;
}

export interface WasmModule {
  readonly compiled?: never;
}

/** The part of the standard global that is used; the compiler's own description of it comes only
 * with that of browsers. */
declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => WasmModule;
  Instance: new (module: WasmModule, imports: object) => { exports: unknown };
  Memory: new (limits: { initial: number; maximum: number; shared: boolean }) => WasmMemory;
  RuntimeError: new () => Error;
  validate(bytes: Uint8Array): boolean;
};

export const PAGE_BYTES = 65_536;
/** 4 GiB: what 32-bit addresses reach. */
const PAGES_MAX = 65_536;

/** What `probe` adds up: 16 products of 255 and -127. */
const PROBE_EXACT = 16 * 255 * -127;

/** The threads that may work on one memory; each has a scratch of its own. */
export const SEARCHING = 0;
export const BUILDING = 1;

/** Compiled once a process: a module can be handed to another thread. */
let forShared: WasmModule | undefined;
let forFloats: WasmModule | undefined;

/** A kernel that works on `memory`, of the build for it and this processor if none is given. */
export function instantiate(
  memory: WasmMemory,
  thread: number,
  module = moduleFor(memory),
): KernelExports {
  const kernel = instanceOf(module, memory);
  kernel.open(thread);
  return kernel;
}

/** Takes another build for the graphs to come: how a test meets a kernel with a defect. */
export function useBuild(bytes: Uint8Array): void {
  forShared = new WebAssembly.Module(bytes);
}

/** Whether the kernel was stopped in the middle of its work: its memory may be half written. */
export function isTrap(error: unknown): boolean {
  return error instanceof WebAssembly.RuntimeError;
}

/** Zeroed memory. Throws a RangeError when there is none. */
export function newMemory(bytes: number, shared: boolean): WasmMemory {
  const initial = Math.ceil(bytes / PAGE_BYTES);
  return new WebAssembly.Memory({ initial, maximum: PAGES_MAX, shared });
}

export function moduleFor({ buffer }: WasmMemory): WasmModule {
  if (buffer instanceof ArrayBuffer) {
    forFloats ??= new WebAssembly.Module(read('floats'));
    return forFloats;
  }
  forShared ??= exactRelaxed() ?? new WebAssembly.Module(read('plain'));
  return forShared;
}

function exactRelaxed(): WasmModule | undefined {
  const bytes = read('relaxed');
  if (!WebAssembly.validate(bytes)) return undefined;
  const module = new WebAssembly.Module(bytes);
  const trial = instanceOf(module, newMemory(PAGE_BYTES, true));
  return trial.probe(1_024) === PROBE_EXACT ? module : undefined;
}

function instanceOf(module: WasmModule, memory: WasmMemory): KernelExports {
  return new WebAssembly.Instance(module, { env: { memory } }).exports as KernelExports;
}

function read(build: string): Uint8Array {
  return readFileSync(new URL(`wasm/${build}.wasm`, import.meta.url));
}
