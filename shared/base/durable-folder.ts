/**
 * Folders that a power cut does not take away again. A folder's entry stands in the one above it,
 * which has to be synced for it; syncing what is inside does not do that.
 */
import { closeSync, fsyncSync, mkdirSync, openSync } from 'node:fs';
import path from 'node:path';

/**
 * Makes the folder and what is missing above it, for its owner only; durable on return. A folder
 * that is there is taken as durable.
 */
export function makeFolderDurably(folder: string): void {
  const firstMade = mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (firstMade === undefined) return;
  let current = path.resolve(folder);
  const last = path.resolve(firstMade);
  for (;;) {
    const parent = path.dirname(current);
    syncFolder(parent);
    if (current === last) return;
    current = parent;
  }
}

/** Makes the entries of the folder durable: what was made, renamed and removed in it. */
export function syncFolder(folder: string): void {
  const descriptor = openSync(folder, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
