import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ClientId } from '../../shared/base/ids.ts';
import { PERMISSIONS, type Permission } from '../../shared/domain/permissions.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { ClientPause } from '../store/clients.ts';
import { ClientPauses } from './client-pauses.ts';

const CLIENT = 'cl_aaaaaaaaaaaaaaaa' as ClientId;
const URL = 'https://billing.example/budget';

function refusals(paused: ClientPause | null, frees: boolean, billingUrl?: string) {
  const pauses = new ClientPauses({ pauseOf: () => paused, billingUrl });
  const refused: Partial<Record<Permission, AppError>> = {};
  for (const needs of Object.keys(PERMISSIONS) as Permission[]) {
    try {
      pauses.check(CLIENT, { needs, frees });
    } catch (error) {
      assert.ok(error instanceof AppError);
      refused[needs] = error;
    }
  }
  return refused;
}

test('a client sees to its account while it is paused, makes room, and does nothing else that is refused', () => {
  const data = [
    'collections:manage',
    'collections:read',
    'points:write',
    'points:read',
    'points:search',
  ];
  const all = refusals({ pause: 'budget', scope: 'all' }, true);
  assert.deepEqual(Object.keys(all).toSorted(), data.toSorted());
  const writes = Object.keys(refusals({ pause: 'manual', scope: 'writes' }, false));
  assert.deepEqual(writes.toSorted(), ['collections:manage', 'points:write']);
  assert.deepEqual(refusals({ pause: 'manual', scope: 'writes' }, true), {});
  assert.deepEqual(refusals(null, false), {});
});

test('it says why, and where to do something about it', () => {
  const spent = refusals({ pause: 'budget', scope: 'writes' }, false, URL)['points:write'];
  assert.deepEqual([spent?.status, spent?.code], [402, 'budget_spent']);
  assert.match(spent?.message ?? '', /raise it at https:\/\/billing\.example\/budget/);
  assert.match(
    refusals({ pause: 'budget', scope: 'all' }, false)['points:read']?.message ?? '',
    /raise it, or wait/,
  );
  const manual = refusals({ pause: 'manual', scope: 'all' }, false)['points:read'];
  assert.deepEqual([manual?.status, manual?.code], [403, 'paused']);
});
