/**
 * The seed of a test that draws at random: `TEST_SEED=n npm run test:run -- FILE` repeats the run
 * that printed n. (Not a `BULKHEAD_` name: those are the service's settings, and it refuses the
 * ones that it does not know.)
 */
import type { TestContext } from 'node:test';

const VARIABLE = 'TEST_SEED';
const SEED_MAX = 2 ** 32 - 1;

/** The seed from the environment, else the test's own; printed either way. */
export function takeSeed(t: TestContext, usual: number): number {
  const text = process.env[VARIABLE];
  const seed = text === undefined ? usual : Number(text);
  if (!Number.isInteger(seed) || seed < 0 || seed > SEED_MAX) {
    throw new Error(`${VARIABLE} is an integer from 0 to ${SEED_MAX}, not ${text}`);
  }
  t.diagnostic(`seed ${seed}; ${VARIABLE}=${seed} repeats it`);
  return seed;
}
