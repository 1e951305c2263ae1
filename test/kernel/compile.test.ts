import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { builtFile, compileKernel, KERNEL_BUILDS } from '../../scripts/kernel/compile.ts';

for (const build of KERNEL_BUILDS) {
  test(`the committed ${build} kernel is what its source compiles to`, async () => {
    const bytes = await compileKernel(build);
    const committed = readFileSync(builtFile(build));
    assert.ok(committed.equals(bytes), 'run: node scripts/build-kernel.ts');
  });
}
