/** Chains of audit entries, and every way in which one entry of an export can be wrong. */
import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync, verify } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import { takeSeed } from '../../test/harness/seed.ts';
import { SeededRandom } from '../base/random.ts';
import { auditKeyOf, chainStart, nextHash, publicPemOf } from './audit-chain.ts';
import { type AuditVerdict, AuditVerifier } from './audit-verifier.ts';
import {
  type AuditHead,
  canonicalJson,
  type SignedHead,
  signCheckpoint,
  signHead,
} from './signed-lines.ts';

const SEED = Buffer.alloc(32, 7);
const KEY = auditKeyOf(SEED);
const PUBLIC = createPublicKey(publicPemOf(KEY));
const ENTRIES = 40;

interface Chain {
  name: string;
  lines: string[];
  /** After entry n; that of the empty chain first. */
  heads: AuditHead[];
}

function chainOf(name: string, entries = ENTRIES): Chain {
  let hash = chainStart(name);
  const heads = [{ at: '2026-11-01T00:00:00.000Z', chain: name, hash, sequence: 0 }];
  const lines: string[] = [];
  for (let sequence = 1; sequence <= entries; sequence += 1) {
    const at = `2026-11-01T00:00:${String(sequence).padStart(2, '0')}.000Z`;
    const target = sequence % 3 === 0 ? 'dø\u2028cs "1"' : 'docs';
    const entry = { action: 'query', at, chain: name, outcome: 200, sequence, target, units: 3 };
    hash = nextHash(hash, canonicalJson(entry));
    lines.push(JSON.stringify({ ...entry, hash }));
    heads.push({ at, chain: name, hash, sequence });
  }
  return { name, lines, heads };
}

function headOf({ heads }: Chain, sequence: number): SignedHead {
  const head = heads[sequence];
  assert.ok(head !== undefined);
  return signHead(head, KEY);
}

/** An export of the entries after one of them. */
function exportOf(chain: Chain, after = 0, end = chain.lines.length): string[] {
  const from = after === 0 ? [] : [JSON.stringify(headOf(chain, after))];
  return [JSON.stringify(headOf(chain, end)), ...from, ...chain.lines.slice(after, end)];
}

/** An export of what a pruned chain has left. */
function prunedExportOf(chain: Chain, pruned: number): string[] {
  const head = chain.heads[pruned];
  assert.ok(head !== undefined);
  const signed = signCheckpoint({ ...head, pruned }, KEY);
  const end = headOf(chain, chain.lines.length);
  return [JSON.stringify(signed), JSON.stringify(end), ...chain.lines.slice(pruned)];
}

function check(lines: readonly string[], known: SignedHead[] = [], key = PUBLIC): AuditVerdict {
  const verifier = new AuditVerifier(key, known);
  for (const line of lines) verifier.take(line);
  return verifier.end();
}

test('an export is found to be good, whole or from an entry on, and of an empty chain', () => {
  const chain = chainOf('cl_a');
  const whole = check(exportOf(chain));
  assert.deepEqual(whole, {
    chain: 'cl_a',
    entries: ENTRIES,
    start: 'beginning',
    after: 0,
    pruned: undefined,
    end: ENTRIES,
    signedAt: chain.heads.at(-1)?.at,
    problem: undefined,
  });
  const part = check(exportOf(chain, 30, 35), [headOf(chain, 33), headOf(chain, 10)]);
  assert.deepEqual([part.entries, part.end, part.problem], [5, 35, undefined]);
  assert.deepEqual([part.start, part.after], ['head', 30]);
  const empty = check([JSON.stringify(headOf(chainOf('cl_b', 0), 0))]);
  assert.deepEqual([empty.entries, empty.problem], [0, undefined]);
});

/** One thing that is done to the lines of an export; undefined when it does nothing to these. */
type Edit = (lines: string[], at: number, random: SeededRandom) => string[] | undefined;

const EDITS: Record<string, Edit> = {
  'a character is another': (lines, at, random) => {
    const line = lines[at] ?? '';
    const place = random.below(line.length);
    const other = String.fromCharCode(33 + random.below(90));
    if (line[place] === other) return undefined;
    return lines.with(at, line.slice(0, place) + other + line.slice(place + 1));
  },
  'a line is gone': (lines, at) => lines.toSpliced(at, 1),
  'a line is there twice': (lines, at) => lines.toSpliced(at, 0, lines[at] ?? ''),
  'two lines are exchanged': (lines, at) => {
    const [a, b] = [lines[at], lines[at + 1]];
    return a === undefined || b === undefined ? undefined : lines.with(at, b).with(at + 1, a);
  },
  'the end is cut off': (lines, at) => (at === 0 ? undefined : lines.slice(0, at)),
  'the beginning is cut off': (lines, at) => (at === 0 ? undefined : lines.slice(at)),
  'an entry of another chain stands there': (lines, at) => {
    const other = exportOf(chainOf('cl_z'));
    return lines[at] === undefined ? undefined : lines.with(at, other[at] ?? '');
  },
  'a field is another': (lines, at) => {
    const value = JSON.parse(lines[at] ?? '{}') as Record<string, unknown>;
    if (!('units' in value)) return undefined;
    return lines.with(at, JSON.stringify({ ...value, units: 4 }));
  },
  'a field is added': (lines, at) => {
    const value = JSON.parse(lines[at] ?? '{}') as Record<string, unknown>;
    return lines.with(at, JSON.stringify({ ...value, more: null }));
  },
  'a field is there twice, first with another value': (lines, at) => {
    return lines.with(at, `{"chain":"cl_b","head":{},${(lines[at] ?? '').slice(1)}`);
  },
  'it is written otherwise': (lines, at) => lines.with(at, `${lines[at] ?? ''} `),
  'it is hashed anew from there on': (lines, at) => {
    if (!(lines[at] ?? '').includes('"units"')) return undefined;
    let before = '';
    return lines.map((line, i) => {
      const { hash, ...entry } = JSON.parse(line) as Record<string, unknown>;
      if (i >= at) {
        const changed = i === at ? { ...entry, units: 4 } : entry;
        const own = nextHash(before, canonicalJson(changed));
        before = own;
        return JSON.stringify({ ...changed, hash: own });
      }
      before = String(hash ?? chainStart('cl_a'));
      return line;
    });
  },
};

for (const [name, edit] of Object.entries(EDITS)) {
  test(`it is found when ${name}`, (t: TestContext) => {
    const random = new SeededRandom(takeSeed(t, 20_261_202));
    const chain = chainOf('cl_a');
    for (const lines of [exportOf(chain), exportOf(chain, 12), prunedExportOf(chain, 12)]) {
      for (let at = 0; at < lines.length; at += 1) {
        const changed = edit(lines, at, random);
        if (changed === undefined || changed.join('\n') === lines.join('\n')) continue;
        assert.ok(check(changed).problem !== undefined, `line ${at + 1}: ${changed[at]}`);
      }
    }
  });
}

test('a chain that was made shorter or written anew is found by a head that was kept', () => {
  const chain = chainOf('cl_a');
  const kept = [headOf(chain, 30)];
  assert.equal(check(exportOf(chain), kept).problem, undefined);
  assert.match(check(exportOf(chain, 0, 29), kept).problem?.problem ?? '', /entry 30 was signed/);
  const other = chainOf('cl_a');
  other.lines.length = 0;
  let hash = chainStart('cl_a');
  for (let sequence = 1; sequence <= ENTRIES; sequence += 1) {
    const entry = { action: 'nothing', chain: 'cl_a', sequence };
    hash = nextHash(hash, canonicalJson(entry));
    other.lines.push(JSON.stringify({ ...entry, hash }));
    other.heads[sequence] = { at: 'later', chain: 'cl_a', hash, sequence };
  }
  assert.equal(check(exportOf(other)).problem, undefined);
  assert.match(check(exportOf(other), kept).problem?.problem ?? '', /30 is not the one/);
});

test('a pruned chain is good from its checkpoint on, and from no other place', () => {
  const chain = chainOf('cl_a');
  const lines = prunedExportOf(chain, 30);
  const { start, after, entries, pruned, problem } = check(lines, [headOf(chain, 35)]);
  assert.deepEqual([start, after, entries, problem], ['checkpoint', 30, 10, undefined]);
  assert.deepEqual(pruned, { sequence: 30, at: chain.heads[30]?.at });
  const [checkpoint = '', end = '', ...rest] = lines;
  const problemOf = (...changed: string[]) => check(changed).problem?.problem ?? '';
  assert.match(problemOf(end, ...rest), /entry 31 stands where entry 1 should/);
  assert.match(problemOf(checkpoint, end, ...rest.slice(1)), /32 stands where entry 31 should/);
  const stranger = auditKeyOf(Buffer.alloc(32, 8));
  const head = chain.heads[31];
  assert.ok(head !== undefined);
  const forged = JSON.stringify(signCheckpoint({ ...head, pruned: 1 }, stranger));
  assert.match(problemOf(forged, end, ...rest.slice(1)), /signature of the checkpoint/);
  // What signs a head signs no checkpoint.
  const { signature } = headOf(chain, 31);
  const passed = JSON.stringify({ checkpoint: { ...head }, signature });
  assert.match(problemOf(passed, end, ...rest.slice(1)), /signature of the checkpoint/);
  const other = prunedExportOf(chainOf('cl_z'), 30)[0] ?? '';
  assert.match(problemOf(other, end, ...rest), /checkpoint is of the chain cl_z/);
  const before = JSON.stringify(headOf(chain, 20));
  assert.match(problemOf(checkpoint, end, before, ...chain.lines.slice(20)), /20 was pruned/);
});

test('what was pruned must be what was signed before', () => {
  const lines = prunedExportOf(chainOf('cl_a'), 30);
  const head = { at: 'earlier', chain: 'cl_a', hash: 'x', sequence: 30 };
  const found = check(lines, [signHead(head, KEY)]).problem?.problem ?? '';
  assert.match(found, /entry 30 is not the one that was signed at earlier/);
});

test('another key signs nothing, and a head that it signed is not believed', () => {
  const chain = chainOf('cl_a');
  const stranger = auditKeyOf(Buffer.alloc(32, 8));
  const head = chain.heads.at(-1);
  assert.ok(head !== undefined);
  const lines = [JSON.stringify(signHead(head, stranger)), ...chain.lines];
  assert.match(check(lines).problem?.problem ?? '', /signature/);
  assert.equal(
    check(exportOf(chain), [signHead({ ...head, hash: 'x' }, stranger)]).problem,
    undefined,
  );
});

test('any program can check a head: Ed25519 over a text', () => {
  const { head, signature } = headOf(chainOf('cl_a'), 5);
  const fields = `{"at":"${head.at}","chain":"cl_a","hash":"${head.hash}","sequence":5}`;
  const text = Buffer.from(`bulkhead audit head\n${fields}`);
  assert.ok(verify(null, text, PUBLIC, Buffer.from(signature, 'base64url')));
  assert.equal(generateKeyPairSync('ed25519').publicKey.asymmetricKeyType, KEY.asymmetricKeyType);
});

test('hostile lines are problems, not exceptions', () => {
  const first = exportOf(chainOf('cl_a'))[0] ?? '';
  for (const line of ['', '{', '[]', 'null', '{"head":{},"signature":""}', '{"sequence":1}']) {
    assert.ok(check([line]).problem !== undefined, line);
    assert.ok(check([first, line]).problem !== undefined, line);
  }
  assert.equal(check([]).problem?.problem, 'there is nothing');
});
