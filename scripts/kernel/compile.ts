/** Compiles the search kernel with the AssemblyScript that package-lock.json names. */
import asc from 'assemblyscript/asc';

/** What each build has beside the others; see `worker/index/kernel/module.ts`. */
const BUILD_FLAGS = {
  relaxed: ['--sharedMemory', '--use', 'USE_RELAXED=1'],
  plain: ['--sharedMemory'],
  floats: [],
} as const;
export const KERNEL_BUILDS = ['relaxed', 'plain', 'floats'] as const;
export type KernelBuild = (typeof KERNEL_BUILDS)[number];

const ROOT = new URL('../..', import.meta.url);
const SOURCE = 'worker/index/kernel/wasm/main.ts';
/** The same with a defect, which only a test compiles. */
const FAULTY_SOURCE = 'worker/index/kernel/wasm/test-fault.ts';

const FLAGS = [
  ...['--runtime', 'stub', '--noAssert', '-O3', '--converge'],
  ...['--importMemory', '--initialMemory', '1', '--maximumMemory', '65536'],
  ...['--enable', 'simd', '--enable', 'bulk-memory', '--enable', 'relaxed-simd'],
  ...['--enable', 'threads'],
];

/** Where the bytes of a build are committed. */
export function builtFile(build: KernelBuild): URL {
  return new URL(`worker/index/kernel/wasm/${build}.wasm`, ROOT);
}

/** The bytes of a build. Throws with the compiler's messages. */
export function compileKernel(build: KernelBuild): Promise<Uint8Array> {
  return compile(SOURCE, BUILD_FLAGS[build]);
}

/** A kernel that writes out of bounds when it is asked to (`test-fault.ts`). */
export function compileFaultyKernel(): Promise<Uint8Array> {
  return compile(FAULTY_SOURCE, BUILD_FLAGS.plain);
}

async function compile(source: string, flags: readonly string[]): Promise<Uint8Array> {
  let bytes: Uint8Array | undefined;
  const stderr = asc.createMemoryStream();
  const { error } = await asc.main(
    [source, ...FLAGS, ...flags, '--baseDir', ROOT.pathname, '--outFile', 'kernel.wasm'],
    {
      stderr,
      writeFile: (_name, contents) => {
        if (typeof contents !== 'string') bytes = contents;
      },
    },
  );
  if (error !== null || bytes === undefined) throw new Error(stderr.toString(), { cause: error });
  return bytes;
}
