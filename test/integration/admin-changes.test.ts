/**
 * Admin changes over HTTP while the coordinator is killed: each of them and its row in the audit log
 * are both there, or neither is; and what was answered is there.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SeededRandom } from '../../shared/base/random.ts';
import { takeSeed } from '../harness/seed.ts';
import { type Service, startService } from '../harness/service.ts';

const CHANGES = 1_000;
const KILLS = 4;
const CALLERS = 4;

type Thing = Record<string, unknown>;

interface Change {
  method: string;
  path: string;
  body?: Thing;
}

test(`${CHANGES} changes with ${KILLS} kills: things and audit log agree`, async (t) => {
  const random = new SeededRandom(takeSeed(t, 20_261_127));
  const service = await startService(t, { workers: 1 });
  const token = service.adminToken();
  const call = async ({ method, path, body }: Change, key?: string) => {
    const headers: Record<string, string> = { authorization: `Bearer ${token}` };
    if (body !== undefined) headers['content-type'] = 'application/json';
    if (key !== undefined) headers['idempotency-key'] = key;
    const url = `${service.adminUrl}/admin/v1${path}`;
    const text = body === undefined ? null : JSON.stringify(body);
    const answer = await fetch(url, { method, headers, body: text });
    return { status: answer.status, reply: (await answer.json()) as Thing };
  };
  const world = new World(random);
  let asked = 0;
  const caller = async (until: number) => {
    while (asked < until) {
      asked += 1;
      const change = world.next();
      try {
        const { status, reply } = await call(change, `change-${asked}`);
        assert.ok(status < 500, `${change.method} ${change.path}: ${JSON.stringify(reply)}`);
        if (status < 300) world.answered(change, reply);
      } catch (error) {
        // The coordinator is gone: whether the change was made, only its row can tell.
        if (error instanceof assert.AssertionError) throw error;
      }
    }
  };
  for (let round = 1; round <= KILLS; round += 1) {
    const end = (CHANGES * round) / KILLS;
    const calling = Promise.all(Array.from({ length: CALLERS }, () => caller(end)));
    while (asked < end - CHANGES / KILLS / 2) await new Promise((resume) => setImmediate(resume));
    await service.killAndWait('coordinator');
    await calling;
  }
  await assertAgreement(service, (path) => call({ method: 'GET', path }), world.seen);
});

/** Draws changes to clients and keys that it has heard of. */
class World {
  /** Answers to creations, by id. */
  readonly seen = new Set<string>();
  readonly #random: SeededRandom;
  readonly #clients: string[] = [];
  readonly #keys: string[] = [];

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  next(): Change {
    const [client, key] = [this.#pick(this.#clients), this.#pick(this.#keys)];
    if (client === undefined) return { method: 'POST', path: '/clients', body: { name: 'c' } };
    const overrides = { points: this.#random.below(1_000) };
    const changes: Change[] = [
      { method: 'POST', path: '/clients', body: { name: `c${this.#random.below(100)}` } },
      { method: 'PATCH', path: client, body: { overrides } },
      { method: 'POST', path: `${client}/suspend`, body: { reason: 'r' } },
      { method: 'POST', path: `${client}/resume` },
      { method: 'POST', path: `${client}/keys`, body: { mode: 'live' } },
    ];
    if (key !== undefined) {
      changes.push({ method: 'PATCH', path: key, body: { name: `k${this.#random.below(100)}` } });
      changes.push({ method: 'POST', path: `${key}/rotate`, body: { grace_seconds: 0 } });
      changes.push({ method: 'DELETE', path: key });
    }
    return this.#random.pick(changes);
  }

  answered({ method, path }: Change, { client_id, key_id }: Thing): void {
    if (method !== 'POST') return;
    if (path === '/clients') this.#clients.push(`/clients/${client_id}`);
    if (path.endsWith('/keys')) this.#keys.push(`${path}/${key_id}`);
    if (path === '/clients') this.seen.add(String(client_id));
    if (path.endsWith('/keys')) this.seen.add(String(key_id));
  }

  #pick(list: readonly string[]): string | undefined {
    return list.length === 0 ? undefined : this.#random.pick(list);
  }
}

async function assertAgreement(
  service: Service,
  get: (path: string) => Promise<{ reply: Thing }>,
  seen: ReadonlySet<string>,
): Promise<void> {
  const last = new Map<string, Thing>();
  for (let after: unknown = 0; after !== null; ) {
    const { reply } = await get(`/audit?after=${after}`);
    for (const entry of reply.entries as Thing[]) last.set(String(entry.target), entry);
    after = reply.next;
  }
  const things = new Map<string, Thing>();
  const { clients } = (await get('/clients')).reply as { clients: Thing[] };
  for (const client of clients) {
    things.set(String(client.client_id), client);
    const { keys } = (await get(`/clients/${client.client_id}/keys`)).reply as { keys: Thing[] };
    for (const key of keys) things.set(String(key.key_id), key);
  }
  assert.ok(things.size > 100 && service.up.events.length > 0, `${things.size} things`);
  assert.deepEqual([...things.keys()].toSorted(), [...last.keys()].toSorted());
  for (const id of seen) assert.ok(things.has(id), `${id} was answered and is there`);
  for (const [id, thing] of things) {
    const after = last.get(id)?.after as Thing;
    for (const field of ['name', 'state', 'reason', 'plan', 'overrides', 'role', 'mode']) {
      if (field in after) assert.deepEqual(thing[field], after[field], `${id}: ${field}`);
    }
    if ('secrets' in after) {
      const shown = (thing.secrets as Thing[]).map(({ prefix }) => String(prefix).slice(-8));
      assert.deepEqual(
        shown,
        (after.secrets as Thing[]).map(({ prefix }) => prefix),
        id,
      );
      assert.equal(thing.revoked_at !== null, after.revoked_at !== null, id);
    }
  }
}
