/**
 * Calls that are banned, each with what stands in for it and why. `scope` says where the ban
 * holds, `except` where it does not. The list of exceptions may only shrink: one that no longer
 * matches anything fails the test, so that it is removed.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertTidy, type Problem } from './report.ts';
import { isTest, lineOf, loadSources, type SourceFile } from './source-tree.ts';

interface Ban {
  name: string;
  /** Looked for in the masked text, so never found in comments or strings. */
  pattern: RegExp;
  scope: (path: string) => boolean;
  /** Files that may; each must still need it. */
  except: readonly string[];
  /** A comment on the line above makes it right: it says why. */
  unlessExplained?: true;
  instead: string;
}

const isProgram = (path: string): boolean =>
  /^(coordinator|worker|shared)\//.test(path) && !isTest(path);
const isNotTest = (path: string): boolean => !isTest(path);
const isMain = (path: string): boolean => /^(coordinator|worker)\/main\.ts$/.test(path);
const everywhere = (): boolean => true;

const BANS: readonly Ban[] = [
  {
    name: 'reads the clock',
    pattern: /\bDate\.now\b|\bperformance\.now\b|\bprocess\.hrtime\b|\bnew Date\(\s*\)/g,
    scope: isProgram,
    except: ['shared/base/clock.ts'],
    instead: 'take a Clock (shared/base/clock.ts), so that a test owns time',
  },
  {
    name: 'starts a timer',
    pattern: /(?<![\w$.])set(?:Timeout|Interval)\b/g,
    scope: isProgram,
    except: ['shared/base/clock.ts'],
    instead: 'call clock.after(ms, action), so that a test owns time',
  },
  {
    name: 'draws from Math.random',
    pattern: /\bMath\.random\b/g,
    scope: everywhere,
    except: [],
    instead: 'take a Random; SeededRandom in tests, with the seed printed',
  },
  {
    name: 'draws randomness',
    pattern: /\brandom(?:Bytes|UUID|Int|Fill|FillSync)\b|\bgetRandomValues\b/g,
    scope: isProgram,
    except: ['shared/base/random.ts'],
    instead: 'take a SecureRandom (shared/base/random.ts)',
  },
  {
    name: 'touches the process',
    pattern: /\bprocess\.(?:env|exit|exitCode|argv|on|once|stdin|send|disconnect|chdir|umask)\b/g,
    scope: (path) => isProgram(path) && !isMain(path),
    except: [],
    instead: 'only main.ts speaks to the process; take what you need as an argument',
  },
  {
    name: 'writes to the console',
    pattern: /\bconsole\./g,
    scope: isProgram,
    except: [],
    instead: 'call log.event with a row of shared/log/events.ts',
  },
  {
    name: 'swallows a rejection',
    pattern:
      /\.catch\(\s*(?:\(\s*\w*\s*\)|\w+)\s*=>\s*(?:\{\s*\}|undefined|null|void 0)\s*,?\s*\)/g,
    scope: isNotTest,
    except: [],
    unlessExplained: true,
    instead: 'handle it, or say in a comment on the line above who else does',
  },
  {
    name: 'loads code from text',
    pattern: /(?<![\w$.])eval\(|\bnew Function\(|\brunIn(?:New|This)?Context\(/g,
    scope: everywhere,
    except: [],
    instead: 'write the code out',
  },
  {
    name: 'declares an enum or a namespace',
    pattern: /(?<![\w$.])(?:const\s+)?enum\s+\w+\s*\{|(?<![\w$.])namespace\s+\w+\s*\{/g,
    scope: everywhere,
    except: [],
    instead: 'types are stripped, not compiled: use a const object and a union',
  },
];

const sources = loadSources();

for (const ban of BANS) {
  test(`nothing ${ban.name} where it may not`, () => {
    const hits = findHits(ban);
    const problems: Problem[] = hits
      .filter(({ file }) => !ban.except.includes(file.path))
      .map(({ file, line, text }) => {
        return { file: file.path, line, rule: `${ban.name} (${text})`, instead: ban.instead };
      });
    const needed = new Set(hits.map(({ file }) => file.path));
    for (const path of ban.except.filter((name) => !needed.has(name))) {
      const instead = 'remove it from `except` in test/tidy/banned.test.ts';
      problems.push({ file: path, rule: `exception to "${ban.name}" is not needed`, instead });
    }
    assertTidy(problems);
  });
}

test('unfinished work is not left in comments', () => {
  const problems: Problem[] = [];
  for (const file of sources) {
    for (const match of file.text.matchAll(/\b(?:TODO|FIXME|XXX|HACK)\b(?=[:( ])/g)) {
      if (file.path === 'test/tidy/banned.test.ts') continue;
      const line = lineOf(file.text, match.index);
      const instead = 'do it now, or say in the header what is deliberately absent';
      problems.push({ file: file.path, line, rule: `has a ${match[0]}`, instead });
    }
  }
  assertTidy(problems);
});

test('the compiler is not silenced', () => {
  const problems: Problem[] = [];
  for (const file of sources) {
    const scope = isTest(file.path) ? /@ts-(?:ignore|nocheck)/g : /@ts-\w+/g;
    for (const match of file.text.matchAll(scope)) {
      if (file.path === 'test/tidy/banned.test.ts') continue;
      const line = lineOf(file.text, match.index);
      problems.push({ file: file.path, line, rule: match[0], instead: 'put the types right' });
    }
  }
  assertTidy(problems);
});

test('the patterns find what they are for, and nothing beside it', () => {
  const finds = (name: string, text: string): boolean =>
    BANS.some((ban) => ban.name === name && text.search(ban.pattern) !== -1);
  assert(finds('reads the clock', 'const a = new Date();'));
  assert(!finds('reads the clock', 'const a = new Date(clock.now());'));
  assert(finds('starts a timer', 'setTimeout(resolve, 5)'));
  assert(!finds('starts a timer', 'socket.setTimeout(5)'));
  assert(finds('swallows a rejection', 'work().catch(() => {})'));
  assert(finds('swallows a rejection', 'work().catch((_error) => undefined)'));
  assert(!finds('swallows a rejection', 'work().catch((error) => report(error))'));
  assert(finds('touches the process', 'process.env.HOME'));
  assert(!finds('touches the process', 'process.pid'));
});

function findHits(ban: Ban): { file: SourceFile; line: number; text: string }[] {
  return sources
    .filter(({ path }) => ban.scope(path))
    .flatMap((file) =>
      [...file.masked.matchAll(ban.pattern)].map((match) => ({
        file,
        line: lineOf(file.text, match.index),
        text: match[0],
      })),
    )
    .filter(({ file, line }) => !(ban.unlessExplained && hasCommentAbove(file, line)));
}

function hasCommentAbove(file: SourceFile, line: number): boolean {
  const above = file.text.split('\n')[line - 2] ?? '';
  return /^\s*(?:\/\/|\*)/.test(above);
}
