/** How the commands that talk to a running service find it. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { envFilesOf, readAdminToken } from '../env-files.ts';
import type { Output } from '../output.ts';
import { AdminClient } from './admin-client.ts';

export interface AdminOptions {
  data: string;
  envFile?: string;
  adminUrl: string;
  json: boolean;
}

/** What an admin command works with. */
export interface AdminParts {
  admin: AdminClient;
  output: Output;
}

export function addAdminOptions(command: Command): Command {
  return command
    .option('--data <dir>', "the service's data folder, which holds its env file", './data')
    .option('--env-file <file>', 'file with the admin token (default: bulkhead.env in --data)')
    .option('--admin-url <url>', 'address of the admin API', 'http://127.0.0.1:6335')
    .option('--json', 'print one JSON object a line', false);
}

/** Connects, runs one command, closes. */
export async function withAdmin(
  options: AdminOptions,
  write: (text: string) => void,
  command: (parts: AdminParts) => Promise<void>,
): Promise<void> {
  const envFile = options.envFile ?? envFilesOf(resolve(options.data)).coordinator;
  const admin = new AdminClient({ url: options.adminUrl, token: readAdminToken(envFile) });
  try {
    await command({ admin, output: { json: options.json, write } });
  } finally {
    await admin.close();
  }
}
