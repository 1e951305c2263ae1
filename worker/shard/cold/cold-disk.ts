/**
 * Whether the cold disk is there. The folder on which one is to be mounted is there without it, too, and empty;
 * so the cold folder and the data folder have one text in a file, written when it is needed first:
 *
 *   data   cold.id           both the same    it is there
 *   cold   cold.id           else             it is not, unless nothing is cold, or the data folder has none
 *
 * Who has lost the disk removes that of the data folder, and another disk is taken from then on.
 */
import { open, readFile, rename } from 'node:fs/promises';
import path from 'node:path';
import { makeFolderDurably, syncFolder } from '../../../shared/base/durable-folder.ts';

const FILE = 'cold.id';

export class ColdDisk {
  readonly #dataDir: string;
  readonly #coldDir: string;

  constructor({ dataDir, coldDir }: { dataDir: string; coldDir: string }) {
    this.#dataDir = dataDir;
    this.#coldDir = coldDir;
  }

  /**
   * Whether it is there, or is the one from now on; `now` tells it from others, `isEmpty`: nothing is cold. Throws
   * what the file system throws.
   */
  async take(now: number, isEmpty: boolean): Promise<boolean> {
    const expected = await idIn(this.#dataDir);
    if (expected !== undefined && (await idIn(this.#coldDir)) === expected) return true;
    if (expected !== undefined && !isEmpty) return false;
    const id = new Date(now).toISOString();
    makeFolderDurably(this.#coldDir);
    for (const folder of [this.#coldDir, this.#dataDir]) await writeId(folder, id);
    return true;
  }
}

async function idIn(folder: string): Promise<string | undefined> {
  try {
    return await readFile(path.join(folder, FILE), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

async function writeId(folder: string, id: string): Promise<void> {
  const file = path.join(folder, FILE);
  {
    await using handle = await open(`${file}.tmp`, 'w', 0o600);
    await handle.writeFile(id);
    await handle.sync();
  }
  await rename(`${file}.tmp`, file);
  syncFolder(folder);
}
