/**
 * Writes under an `Idempotency-Key` against the real service, repeated as SDKs do until they have an
 * answer, and what is stored then.
 */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../../shared/base/clock.ts';
import type { Service } from './service.ts';

/** What of an answer must be the same whenever it is given. */
export interface Said {
  status: number;
  result: unknown;
  code: string | undefined;
}

export interface KeyedWrite {
  method: string;
  path: string;
  body: object;
  /** Absent for a write without the header. */
  key?: string;
}

const PAUSE_MS = 25;
const PATIENCE_MS = 60_000;
const TRANSIENT = new Set([429, 502, 503, 504]);

/** One try; undefined when no answer came. */
export async function tryOnce(service: Service, write: KeyedWrite): Promise<Said | undefined> {
  const { method, path, body, key } = write;
  const header = key === undefined ? {} : { 'idempotency-key': key };
  try {
    const response = await fetch(`${service.url}${path}`, {
      method,
      headers: { 'api-key': service.key, 'content-type': 'application/json', ...header },
      body: JSON.stringify(body),
    });
    const { result, code } = (await response.json()) as { result: unknown; code?: string };
    return { status: response.status, result, code };
  } catch {
    return undefined;
  }
}

/** The answer that is not a request to try again. */
export async function untilAnswered(service: Service, write: KeyedWrite): Promise<Said> {
  const giveUpAtMs = systemClock.monotonicMs() + PATIENCE_MS;
  for (;;) {
    const said = await tryOnce(service, write);
    if (said !== undefined && !TRANSIENT.has(said.status)) return said;
    assert.ok(systemClock.monotonicMs() < giveUpAtMs, `no answer: ${JSON.stringify(said)}`);
    await sleep(PAUSE_MS);
  }
}

/** `n` of the payload of each point, by id. */
export async function numbersIn(service: Service, path: string, ids: readonly number[]) {
  const body = { ids, with_payload: true, with_vector: false };
  const { status, result } = await untilAnswered(service, { method: 'POST', path, body });
  assert.equal(status, 200);
  const points = result as { id: number; payload: { n: number } | null }[];
  return new Map(points.map(({ id, payload }) => [id, payload?.n]));
}

/** Resolves when no copy of any shard lacks writes. */
export async function untilLevel(service: Service): Promise<void> {
  const headers = { authorization: `Bearer ${service.adminToken()}` };
  const giveUpAtMs = systemClock.monotonicMs() + PATIENCE_MS;
  for (;;) {
    const response = await fetch(`${service.adminUrl}/admin/v1/replicas?state=behind`, { headers });
    const { replicas } = (await response.json()) as { replicas: unknown[] };
    if (replicas.length === 0) return;
    assert.ok(systemClock.monotonicMs() < giveUpAtMs, 'a replica stays behind');
    await sleep(PAUSE_MS);
  }
}
