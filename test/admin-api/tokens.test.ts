/** Two admin tokens at once, while one is being replaced. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AdminTokens } from '../../coordinator/http/admin-tokens.ts';
import { AdminRig, OLD_TOKEN } from './admin-rig.ts';

test('both tokens are accepted, and no other', async (t) => {
  const rig = await AdminRig.start(t);
  const statusWith = async (token: string) => {
    const header = { authorization: `Bearer ${token}` };
    return (await rig.send('GET', '/clients', undefined, header)).status;
  };
  assert.equal((await rig.send('GET', '/clients')).status, 200);
  assert.equal(await statusWith(OLD_TOKEN), 200);
  assert.equal(await statusWith(`${OLD_TOKEN}x`), 401);
});

test('an absent second token is no empty token that anybody has', () => {
  const tokens = new AdminTokens(['first', '']);
  assert.equal(tokens.isIn('Bearer first'), true);
  for (const header of ['Bearer ', 'Bearer', '', undefined, 'Bearer second']) {
    assert.equal(tokens.isIn(header), false);
  }
  assert.throws(() => new AdminTokens(['', '']), /token/);
});
