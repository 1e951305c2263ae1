import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Cleanup, cleanUp } from './cleanup.ts';

/** A new folder that is removed when the test ends. */
export function temporaryFolder(t: Cleanup): string {
  const folder = mkdtempSync(join(tmpdir(), 'bulkhead-'));
  cleanUp(t, () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
