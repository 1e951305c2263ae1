/**
 * Runs the tests: `node scripts/test.ts [folder or file ...] [--name PATTERN] [--concurrency N]`.
 *
 * Without arguments all `*.test.ts` of the tree run, each file in a process of its own: first the
 * unit tests beside the sources, then `test/tidy`, then the rest of `test/`, so that a small
 * mistake shows before the long tests begin. `--name` keeps the tests whose name matches.
 */
import { existsSync, globSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { normalize, resolve } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { COMPILE_CACHE_NAME } from '../shared/base/compile-cache.ts';

/** The integration tests start several processes each, so more at once only makes them wait; one more than
 * there are cores, since they wait for processes that die and hang. */
const CONCURRENCY_MAX = 3;
/** Longest time for one file; a test that hangs must not hang the build. Of the long profile, one takes
 * half an hour. */
const FILE_TIMEOUT_MS = (process.env.TEST_PROFILE === 'long' ? 90 : 15) * 60_000;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { name: { type: 'string' }, concurrency: { type: 'string' } },
});

process.chdir(fileURLToPath(new URL('..', import.meta.url)));
// Most of what the tests start has its code in common, and half of its start is to compile it.
process.env[COMPILE_CACHE_NAME] ??= resolve('node_modules/.cache/compiled');
const files = sortByStage(findTests(positionals.length === 0 ? ['.'] : positionals));
if (files.length === 0) {
  console.error(`no *.test.ts in ${positionals.join(', ') || 'the tree'}`);
  process.exit(1);
}

// Anything but a good summary at the end is a failure, a runner that dies half-way included.
process.exitCode = 1;
const events = run({
  files,
  concurrency: concurrency(values.concurrency),
  timeout: FILE_TIMEOUT_MS,
  ...(values.name === undefined ? {} : { testNamePatterns: new RegExp(values.name) }),
});
events.on('test:summary', ({ file, success }) => {
  if (file === undefined && success) process.exitCode = 0;
});
events.compose(spec()).pipe(process.stdout);

function concurrency(text: string | undefined): number {
  if (text === undefined) return Math.min(CONCURRENCY_MAX, availableParallelism() + 1);
  if (/^[1-9][0-9]?$/.test(text)) return Number(text);
  console.error('--concurrency is a number from 1 to 99');
  process.exit(1);
}

function findTests(places: readonly string[]): string[] {
  const found = places.flatMap((place) => {
    if (!existsSync(place)) {
      console.error(`${place} does not exist`);
      process.exit(1);
    }
    if (statSync(place).isFile()) return [normalize(place)];
    return globSync(`${place}/**/*.test.ts`, { exclude: ['**/node_modules/**', 'data/**'] });
  });
  return [...new Set(found.map(normalize))];
}

/** Unit tests, tidy tests, the rest; by name within each. */
function sortByStage(paths: readonly string[]): string[] {
  const stage = (path: string): number => {
    if (!path.startsWith('test/')) return 0;
    return path.startsWith('test/tidy/') ? 1 : 2;
  };
  return paths.toSorted((a, b) => stage(a) - stage(b) || (a < b ? -1 : 1));
}
