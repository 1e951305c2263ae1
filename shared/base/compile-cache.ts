/**
 * Compiled code is kept on disk, so that a process which is started again needs half the time to be
 * there: V8's code and the JavaScript made of TypeScript, by the hash of the source (`NODE_COMPILE_CACHE`
 * of Node). Whoever can write to the folder decides what runs, so it is one of our own, not `/tmp`.
 */
import { flushCompileCache, getCompileCacheDir } from 'node:module';
import { dirname } from 'node:path';

export const COMPILE_CACHE_NAME = 'NODE_COMPILE_CACHE';

/** What a thread or a child needs of this process's environment to share its cache. */
export function compileCacheEnvironment(): Record<string, string> {
  // Within the folder that was named, each version of Node has one of its own.
  const folder = getCompileCacheDir();
  return folder === undefined ? {} : { [COMPILE_CACHE_NAME]: dirname(folder) };
}

/** Writes what was compiled so far; Node itself does at a good end, which a process may not have. */
export function keepCompiledCode(): void {
  flushCompileCache();
}
