import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, it } from 'node:test';
import Database from 'better-sqlite3';
import { must } from '../../shared/base/assert.ts';
import { ManualClock, systemClock } from '../../shared/base/clock.ts';
import { type ClientId, type KeyId, randomId, type WorkerId } from '../../shared/base/ids.ts';
import { SeededRandom, secureRandom } from '../../shared/base/random.ts';
import { PLAN_LIMITS } from '../../shared/domain/plan.ts';
import { ControlStore } from './control-store.ts';
import { migrate, SCHEMA_VERSION } from './migrations.ts';

const STORE_URL = new URL('./control-store.ts', import.meta.url).href;
const CLOCK_URL = new URL('../../shared/base/clock.ts', import.meta.url).href;
const HAS_STRACE = spawnSync('strace', ['-V']).status === 0;
const CAN_MOUNT = process.getuid?.() === 0 && spawnSync('mount', ['-V']).status === 0;

let folder: string;
let path: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bulkhead-control-'));
  path = join(folder, 'control.db');
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

const newClientId = () => randomId<ClientId>('cl_', secureRandom.bytes);

/** A child that opens the store and runs `body` with `store` in scope. */
function childSource(body: string): string {
  return `import { ControlStore } from '${STORE_URL}';
    import { systemClock } from '${CLOCK_URL}';
    const store = ControlStore.open(process.argv[1], { clock: systemClock });
    const id = (i) => 'cl_' + String(i).padStart(16, '0');
    ${body}`;
}

function childArguments(body: string, file: string): string[] {
  return ['--input-type=module', '-e', childSource(body), file];
}

describe('opening', () => {
  it('keeps what was written', () => {
    const clock = new ManualClock();
    const clientId = newClientId();
    const workerId = 'wk_aaaaaaaaaaaaaaaa' as WorkerId;
    const first = ControlStore.open(path, { clock });
    const client = first.clients.create({ clientId, name: 'Ünïted' });
    first.workers.seen(workerId);
    first.close();
    first.close();
    const second = ControlStore.open(path, { clock });
    assert.deepEqual(second.clients.get(clientId), client);
    assert.deepEqual(client, {
      clientId,
      name: 'Ünïted',
      state: 'active',
      stateReason: null,
      planId: 'standard',
      overrides: {},
      epoch: 1,
      version: 1,
      createdAt: clock.now(),
      eraseAt: null,
      paused: null,
    });
    const firstSeenAt = clock.now();
    clock.advance(5_000);
    second.workers.seen(workerId);
    const terms = { zone: null, dedicatedTo: null, draining: false };
    assert.deepEqual(second.workers.all(), [
      { workerId, firstSeenAt, lastSeenAt: clock.now(), ...terms, version: 1 },
    ]);
    second.close();
  });

  it('sets the schema version and refuses a newer one', () => {
    ControlStore.open(path, { clock: systemClock }).close();
    const raw = new Database(path);
    assert.equal(raw.pragma('user_version', { simple: true }), SCHEMA_VERSION);
    raw.pragma(`user_version = ${SCHEMA_VERSION + 1}`);
    raw.close();
    assert.throws(() => ControlStore.open(path, { clock: systemClock }), /use a newer one/);
  });

  it('brings a database of the first schema up to date', () => {
    const raw = new Database(path);
    migrate(raw, 1);
    const [clientId, keyId] = [newClientId(), randomId<KeyId>('key_', secureRandom.bytes)];
    raw.prepare("INSERT INTO clients VALUES (?, 'old', 'active', 7, 5)").run(clientId);
    raw
      .prepare(
        "INSERT INTO api_keys VALUES (?, ?, 'live', 'AbCdEfGh', ?, 'k', 'full', 5, NULL, NULL)",
      )
      .run(keyId, clientId, Buffer.alloc(32, 7));
    raw.close();
    const store = ControlStore.open(path, { clock: systemClock });
    const client = store.clients.get(clientId);
    assert.deepEqual([client?.name, client?.epoch, client?.planId], ['old', 7, 'standard']);
    assert.equal(store.apiKeys.byPrefix('AbCdEfGh')[0]?.keyId, keyId);
    const kept = must(store.apiKeys.get(clientId, keyId), 'kept');
    assert.deepEqual(kept.secrets, [{ prefix: 'AbCdEfGh', createdAt: 5, endsAt: null }]);
    const secret = { prefix: 'BbCdEfGh', digest: Buffer.alloc(32) };
    assert.throws(
      () => store.apiKeys.create({ ...kept, clientId: newClientId(), secret }),
      /FOREIGN KEY|UNIQUE/,
    );
    for (const { limits } of store.plans.all()) {
      const names = Object.keys(limits).toSorted();
      assert.deepEqual(names, Object.keys(PLAN_LIMITS).toSorted(), 'plans have all limits');
      assert.deepEqual([limits.audit_query_sample, limits.cost_per_second > 0], [1, true]);
    }
    store.close();
  });

  it('refuses a file that is no database and leaves it alone', () => {
    writeFileSync(path, 'this is not a database, it is a letter to my aunt');
    assert.throws(() => ControlStore.open(path, { clock: systemClock }), { code: 'SQLITE_NOTADB' });
    assert.match(readFileSync(path, 'utf8'), /aunt/);
  });

  it('refuses a second coordinator on the same file', () => {
    const holder = ControlStore.open(path, { clock: systemClock });
    const second = spawnSync(process.execPath, childArguments('', path), { encoding: 'utf8' });
    assert.notEqual(second.status, 0);
    assert.match(second.stderr, /in use by another coordinator/);
    holder.close();
    const third = spawnSync(process.execPath, childArguments('', path), { encoding: 'utf8' });
    assert.equal(third.status, 0, third.stderr);
  });
});

describe('durability', () => {
  it('loses no acknowledged write and frees the lock when the process is killed', async () => {
    const body = `for (let i = 0; ; i += 1) {
      store.clients.create({ clientId: id(i), name: 'n' });
      process.stdout.write(id(i) + '\\n');
      await new Promise(setImmediate);
    }`;
    const child = spawn(process.execPath, childArguments(body, path), {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const closed = new Promise((resolve) => child.once('close', resolve));
    const acknowledged: ClientId[] = [];
    for await (const line of createInterface({ input: child.stdout })) {
      acknowledged.push(line as ClientId);
      if (acknowledged.length === 50) child.kill('SIGKILL');
    }
    await closed;
    assert.ok(acknowledged.length >= 50);
    const store = ControlStore.open(path, { clock: systemClock });
    for (const clientId of acknowledged) assert.ok(store.clients.get(clientId), clientId);
    store.close();
  });

  it('has a change and its audit row, or neither, whenever the process is killed', async () => {
    const seed = 20_261_126;
    const random = new SeededRandom(seed);
    const body = `const origin = { actor: 'a', requestId: 'r' };
    const start = store.clients.count();
    for (let i = start; ; i += 1) {
      store.audited(origin, () => {
        const result = store.clients.create({ clientId: id(i), name: 'n' });
        return { action: 'client.create', target: id(i), before: null, after: {}, result };
      });
      if (i % 7 === 0) process.stdout.write('.');
    }`;
    let changes = 0;
    for (let round = 0; changes < 1_000; round += 1) {
      const child = spawn(process.execPath, childArguments(body, path), {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const closed = new Promise((resolve) => child.once('close', resolve));
      let heard = 0;
      const wanted = 1 + random.below(40);
      child.stdout.on('data', (dots: Buffer) => {
        heard += dots.length;
        if (heard >= wanted) child.kill('SIGKILL');
      });
      await closed;
      const store = ControlStore.open(path, { clock: systemClock });
      const clients = store.clients.page({}, 10_000).map(({ clientId }) => clientId);
      const entries = store.adminAudit.page(0, 10_000);
      store.close();
      assert.deepEqual(
        entries.map(({ target }) => target),
        clients,
        `seed ${seed}, round ${round}`,
      );
      assert.deepEqual(
        entries.map(({ sequence }) => sequence),
        clients.map((_, i) => i + 1),
      );
      changes = clients.length;
    }
  });

  it('syncs the disk for every write', { skip: HAS_STRACE ? false : 'strace is missing' }, () => {
    const writes = 20;
    const trace = join(folder, 'trace');
    const count = (times: number) => {
      const body = `for (let i = 0; i < ${times}; i += 1) {
        store.clients.create({ clientId: id(i), name: 'n' });
      }
      process.kill(process.pid, 'SIGKILL');`;
      const file = join(folder, `${times}.db`);
      const node = [process.execPath, ...childArguments(body, file)];
      spawnSync('strace', ['-f', '-e', 'trace=fsync,fdatasync', '-o', trace, ...node]);
      return readFileSync(trace, 'utf8').match(/f(data)?sync\(/g)?.length ?? 0;
    };
    assert.equal(count(writes) - count(0), writes);
  });

  it('says that the disk is full, and goes on when there is space', {
    skip: CAN_MOUNT ? false : 'only root can mount a small disk',
  }, (t) => {
    const mountPoint = join(folder, 'disk');
    mkdirSync(mountPoint);
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=512k', 'tmpfs', mountPoint]);
    if (mounted.status !== 0) return t.skip('this machine allows no mount');
    const ballast = join(mountPoint, 'ballast');
    const store = ControlStore.open(join(mountPoint, 'control.db'), { clock: systemClock });
    try {
      const before = store.clients.create({ clientId: newClientId(), name: 'before' });
      const { bavail, bsize } = statfsSync(mountPoint);
      writeFileSync(ballast, Buffer.alloc(Math.max(0, bavail * bsize - 16_384)));
      const fill = () => {
        for (let i = 0; i < 1_000; i += 1) {
          store.clients.create({ clientId: newClientId(), name: 'x'.repeat(4_000) });
        }
      };
      assert.throws(fill, { code: 'insufficient_storage' });
      assert.deepEqual(store.clients.get(before.clientId), before);
      rmSync(ballast);
      const after = store.clients.create({ clientId: newClientId(), name: 'after' });
      assert.deepEqual(store.clients.get(after.clientId), after);
    } finally {
      store.close();
      spawnSync('umount', [mountPoint]);
    }
  });
});

describe('keys', () => {
  it('hides revoked keys from look-ups, and raises the epoch', () => {
    const clock = new ManualClock();
    const store = ControlStore.open(path, { clock });
    const clientId = newClientId();
    store.clients.create({ clientId, name: 'a' });
    const key = store.apiKeys.create({
      keyId: randomId<KeyId>('key_', secureRandom.bytes),
      clientId,
      mode: 'live',
      secret: { prefix: 'AbCdEfGh', digest: Buffer.alloc(32, 7) },
      name: 'k',
      role: 'admin',
      namespaces: ['a'],
      requestsPerSecond: 5,
      expiresAt: null,
    });
    const [found] = store.apiKeys.byPrefix('AbCdEfGh');
    assert.deepEqual([found?.epoch, found?.namespaces, found?.requestsPerSecond], [1, ['a'], 5]);
    assert.equal(store.apiKeys.byPrefix('abcdefgh').length, 0);
    clock.advance(10);
    const revoked = store.apiKeys.revoke(key);
    assert.equal(revoked.epoch, 2);
    assert.equal(revoked.key.revokedAt, clock.now());
    assert.equal(store.apiKeys.byPrefix('AbCdEfGh').length, 0);
    assert.equal(store.apiKeys.countUsable(clientId, 'live'), 0);
    assert.equal(store.apiKeys.page(clientId, undefined, 10).length, 1);
    assert.equal(store.apiKeys.get(newClientId(), key.keyId), undefined);
    store.close();
  });
});
