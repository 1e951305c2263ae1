/** Runs one `bulkhead` command to its end. */
import { execFile } from 'node:child_process';
import { compileCacheEnvironment } from '../../shared/base/compile-cache.ts';
import { BULKHEAD, type Service } from './service.ts';

const TIMEOUT_MS = 30_000;

export interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

export function runCommand(args: readonly string[]): Promise<Outcome> {
  const { promise, resolve } = Promise.withResolvers<Outcome>();
  const { PATH = '', HOME = '' } = process.env;
  const env = { PATH, HOME, ...compileCacheEnvironment() };
  const options = { env, timeout: TIMEOUT_MS };
  execFile(process.execPath, ['--', BULKHEAD, ...args], options, (error, stdout, stderr) => {
    const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
    resolve({ code, stdout, stderr });
  });
  return promise;
}

/** Runs a command against a service with `--json`; the objects it printed. */
export async function runJson(
  service: Service,
  args: readonly string[],
): Promise<Record<string, unknown>[]> {
  const where = ['--json', '--env-file', service.envFile, '--admin-url', service.adminUrl];
  const { code, stdout, stderr } = await runCommand([...args, ...where]);
  if (code !== 0) throw new Error(`bulkhead ${args.join(' ')} failed (${code}): ${stderr}`);
  const lines = stdout.split('\n').filter((line) => line !== '');
  return lines.map((line) => JSON.parse(line));
}
