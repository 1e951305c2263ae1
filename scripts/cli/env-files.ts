/**
 * The secrets of one installation, made on the first start and never shown.
 *
 *   DATA/bulkhead.env   admin token, key pepper, link secret   (coordinator, command line)
 *   DATA/worker.env     link secret only                       (workers)
 *
 * Both are 0600. A file comes to be whole or not at all: it is written beside, synced, and linked
 * into place, and a link never replaces a file that is there. The pepper can not be made again:
 * without it no stored key digest verifies, so an existing file is never touched.
 */
import { existsSync, linkSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { SecureRandom } from '../../shared/base/random.ts';
import { parseEnvFile, readEnvFile } from '../../shared/config/env-file.ts';
import { CommandError, systemCode } from './command-error.ts';

const SECRET_BYTES = 32;
const LINK_SECRET = 'BULKHEAD_LINK_SECRET';
const ADMIN_TOKEN = 'BULKHEAD_ADMIN_TOKEN';
const KEY_PEPPER = 'BULKHEAD_KEY_PEPPER';

export interface EnvFiles {
  coordinator: string;
  worker: string;
}

/** Where the env files of a data folder are. */
export function envFilesOf(dataFolder: string): EnvFiles {
  return { coordinator: join(dataFolder, 'bulkhead.env'), worker: join(dataFolder, 'worker.env') };
}

/** Makes the env files of a data folder where they are absent. */
export async function createEnvFiles(dataFolder: string, random: SecureRandom): Promise<EnvFiles> {
  const files = envFilesOf(dataFolder);
  const secret = (): string => random.bytes(SECRET_BYTES).toString('base64url');
  await createWhole(files.coordinator, random, {
    [ADMIN_TOKEN]: secret(),
    [KEY_PEPPER]: secret(),
    [LINK_SECRET]: secret(),
  });
  const linkSecret = readSecret(files.coordinator, LINK_SECRET);
  await createWhole(files.worker, random, { [LINK_SECRET]: linkSecret });
  if (readSecret(files.worker, LINK_SECRET) !== linkSecret) {
    throw new CommandError(
      `${LINK_SECRET} in ${files.worker} is not the one in ${files.coordinator}, so no worker ` +
        'could connect: make them equal, or remove worker.env and it is made again',
    );
  }
  return files;
}

/** The token of the admin listener. */
export function readAdminToken(envFile: string): string {
  return readSecret(envFile, ADMIN_TOKEN);
}

function readSecret(envFile: string, name: string): string {
  if (!existsSync(envFile)) {
    throw new CommandError(
      `${envFile} does not exist: start the service with bulkhead up, or name its env file with ` +
        '--env-file',
    );
  }
  const problems: string[] = [];
  const value = parseEnvFile(readEnvFile(envFile), problems).get(name);
  if (problems.length > 0) throw new CommandError(`${envFile}: ${problems.join('; ')}`);
  if (value === undefined || value === '') throw new CommandError(`${envFile} lacks ${name}`);
  return value;
}

async function createWhole(
  file: string,
  random: SecureRandom,
  secrets: Record<string, string>,
): Promise<void> {
  const temporary = `${file}.${random.bytes(8).toString('hex')}`;
  const lines = Object.entries(secrets).map(([name, value]) => `${name}=${value}\n`);
  try {
    await writeSynced(
      temporary,
      `# Secrets of this installation. Keep this file.\n${lines.join('')}`,
    );
    linkSync(temporary, file);
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error;
  } finally {
    rmSync(temporary, { force: true });
  }
  await syncFolderOf(file);
}

async function writeSynced(file: string, text: string): Promise<void> {
  const handle = await open(file, 'wx', 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function syncFolderOf(file: string): Promise<void> {
  const handle = await open(join(file, '..'), 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
