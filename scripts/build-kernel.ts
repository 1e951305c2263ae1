/**
 * Compiles the search kernel into the two files that are committed beside its source. Run it after
 * a change; a test compiles again and compares the bytes.
 */
import { writeFileSync } from 'node:fs';
import { builtFile, compileKernel, KERNEL_BUILDS } from './kernel/compile.ts';

for (const build of KERNEL_BUILDS) {
  const bytes = await compileKernel(build);
  writeFileSync(builtFile(build), bytes);
  console.log(`${build}.wasm: ${bytes.length} bytes`);
}
