import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What a test context offers for cleaning up. */
export interface Cleanup {
  after(action: () => void | Promise<void>): void;
}

/** A new folder that is removed when the test ends. */
export function temporaryFolder(t: Cleanup): string {
  const folder = mkdtempSync(join(tmpdir(), 'bulkhead-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
