/** A revoked key is refused from the answer to its revocation on, however many use it just then. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { getBytes, RawCaller } from '../../scripts/bench/raw-caller.ts';
import { AdminClient } from '../../scripts/cli/admin/admin-client.ts';
import { readAdminToken } from '../../scripts/cli/env-files.ts';
import { startService } from '../harness/service.ts';

const CALLERS = 50;
const REPETITIONS = 100;
/** Answers that each caller gets before the key is revoked, and after. */
const ANSWERS = 2;

test(`none of ${CALLERS} callers gets in after the revocation, ${REPETITIONS} times`, async (t) => {
  const service = await startService(t);
  const admin = new AdminClient({
    url: service.adminUrl,
    token: readAdminToken(service.envFile),
  });
  t.after(() => admin.close());
  const { client_id: clientId } = await admin.createClient({ name: 'hers', plan: 'dedicated' });
  const callers = await Promise.all(
    Array.from({ length: CALLERS }, () => RawCaller.connect(service.url)),
  );
  t.after(() => {
    for (const caller of callers) caller.close();
  });
  let acceptedBefore = 0;
  let refusedAfter = 0;
  for (let repetition = 0; repetition < REPETITIONS; repetition += 1) {
    const key = await admin.createKey(clientId, { name: 'k', mode: 'live' });
    const request = getBytes(service.url, '/collections', { 'api-key': key.key });
    const before = Promise.withResolvers<void>();
    let answered = 0;
    let revoked = false;
    const hammer = async (caller: RawCaller): Promise<void> => {
      for (let after = 0; after < ANSWERS; ) {
        const startedAfter = revoked;
        const { status } = await caller.ask(request);
        if (!startedAfter) {
          // What was under way when the key was revoked may have either answer.
          acceptedBefore += status === 200 ? 1 : 0;
          answered += 1;
          if (answered === ANSWERS * CALLERS) before.resolve();
          continue;
        }
        // An address with many bad keys hears 429, which is no access either.
        assert.ok(status === 401 || status === 429, `repetition ${repetition}: ${status}`);
        refusedAfter += 1;
        after += 1;
      }
    };
    const hammering = Promise.all(callers.map(hammer));
    await Promise.race([before.promise, hammering]);
    await admin.revokeKey(clientId, key.key_id);
    revoked = true;
    await hammering;
  }
  assert.ok(acceptedBefore >= ANSWERS * CALLERS * REPETITIONS, `${acceptedBefore} accepted before`);
  assert.equal(refusedAfter, ANSWERS * CALLERS * REPETITIONS);
});
