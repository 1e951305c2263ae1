/**
 * Programs run on a disk that forgets and fails: `power-cut.c`, compiled for the test and preloaded
 * into a process of Node.
 */
import { execFile, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compileCacheEnvironment } from '../../shared/base/compile-cache.ts';
import { type Cleanup, cleanUp } from '../harness/cleanup.ts';

const SOURCE = fileURLToPath(new URL('./power-cut.c', import.meta.url));
/** A file system in memory: what is tested here is the order of syncs, not their time. */
const MEMORY_FOLDER = '/dev/shm';
const PROGRAM_MS_MAX = 10 * 60_000;
const OUTPUT_BYTES_MAX = 64 * 2 ** 20;

function makeFolder(): string {
  const parent = existsSync(MEMORY_FOLDER) ? MEMORY_FOLDER : tmpdir();
  return mkdtempSync(join(parent, 'bulkhead-crash-'));
}

/** A new folder, in memory where that is possible, removed when the test ends. */
export function quickFolder(t: Cleanup): string {
  const folder = makeFolder();
  cleanUp(t, () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

let built: Shim | { missing: string } | undefined;

export class Shim {
  readonly #library: string;

  private constructor(library: string) {
    this.#library = library;
  }

  /** The shim, or why there is none on this machine. It is compiled once a process. */
  static build(): Shim | { missing: string } {
    built ??= Shim.#compile();
    return built;
  }

  static #compile(): Shim | { missing: string } {
    if (process.platform !== 'linux') return { missing: 'only Linux preloads it' };
    const folder = makeFolder();
    process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
    const library = join(folder, 'power-cut.so');
    const flags = ['-shared', '-fPIC', '-O2', '-Wall', '-Wextra', '-Werror'];
    const compiler = process.env.CC ?? 'cc';
    const { error, status, stderr } = spawnSync(compiler, [...flags, '-o', library, SOURCE]);
    if (error !== undefined) return { missing: `no C compiler here (${compiler})` };
    if (status !== 0) throw new Error(`${SOURCE} does not compile: ${stderr}`);
    return new Shim(library);
  }

  /**
   * The environment in which a process is watched. Its folder `root` is made here, and so is
   * everything that the journal, if there is to be one, tells of below it.
   */
  environment(folder: string, { journal = true } = {}): Record<string, string> {
    const root = rootOf(folder);
    mkdirSync(root, { recursive: true });
    return {
      LD_PRELOAD: this.#library,
      CRASH_ROOT: root,
      CRASH_MARKS: join(folder, 'marks'),
      CRASH_SWITCH: switchOf(folder),
      ...(journal && { CRASH_JOURNAL: journalOf(folder) }),
    };
  }

  /**
   * Runs a program with the paths of its folder and of its marks, and then `args`, to its end. What it
   * printed, and the journal of all programs that have run in the folder. Throws when it ends badly,
   * unless it kills itself and is expected to.
   */
  async run(
    folder: string,
    program: URL,
    args: readonly string[],
    { isKilled = false } = {},
  ): Promise<{ journal: Buffer; output: string }> {
    const environment = this.environment(folder);
    const options = {
      env: {
        PATH: process.env.PATH ?? '',
        ...compileCacheEnvironment(),
        ...environment,
      },
      timeout: PROGRAM_MS_MAX,
      maxBuffer: OUTPUT_BYTES_MAX,
    };
    const line = [fileURLToPath(program), rootOf(folder), environment.CRASH_MARKS ?? '', ...args];
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    execFile(process.execPath, line, options, (error, stdout, stderr) => {
      if (error === null || (isKilled && error.signal === 'SIGKILL')) resolve(stdout);
      else reject(new Error(`${program.pathname} failed:\n${stdout}${stderr}`, { cause: error }));
    });
    const output = await promise;
    return { journal: readFileSync(journalOf(folder)), output };
  }
}

/** The folder below which everything is watched. */
export function rootOf(folder: string): string {
  return join(folder, 'root');
}

/** While there is such a file, every sync of the processes that are watched fails. */
export function switchOf(folder: string): string {
  return join(folder, 'syncs-fail');
}

function journalOf(folder: string): string {
  return join(folder, 'journal');
}
