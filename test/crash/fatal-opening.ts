/**
 * Loaded into a worker before its program (`NODE_OPTIONS=--import`): a shard in whose folder there is a
 * file `fatal` ends the process when it is opened, as a defect of native code would.
 */
import { existsSync } from 'node:fs';
import files from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';

const { readdir } = files;
files.readdir = ((folder: string, ...rest: []) => {
  if (existsSync(join(folder, 'fatal'))) process.kill(process.pid, 'SIGKILL');
  return readdir(folder, ...rest);
}) as typeof readdir;
syncBuiltinESMExports();
