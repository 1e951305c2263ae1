/** A small disk of a test's own, to be filled. */
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Cleanup, cleanUp } from './cleanup.ts';
import { temporaryFolder } from './temporary-folder.ts';

/** Its folder, or why this user can not have one. Unmounted when the test ends. */
export function mountSmallDisk(
  t: Cleanup,
  mebibytes: number,
): { folder: string } | { refused: string } {
  const folder = join(temporaryFolder(t), 'disk');
  mkdirSync(folder);
  const size = `size=${mebibytes}m,mode=0700`;
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', size, 'tmpfs', folder], { stdio: 'pipe' });
  } catch (error) {
    return { refused: `this user can not mount a small disk (${String(error).split('\n')[0]})` };
  }
  cleanUp(t, () => {
    execFileSync('umount', [folder]);
  });
  return { folder };
}
