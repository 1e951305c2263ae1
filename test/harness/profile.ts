/**
 * How much a test does that could go on for hours: `TEST_PROFILE=long npm run test:run -- test/crash`
 * does all of it, a usual run a part that fits between other tests.
 */

const VARIABLE = 'TEST_PROFILE';

export type Profile = 'short' | 'long';

export function takeProfile(): Profile {
  const text = process.env[VARIABLE] ?? 'short';
  if (text === 'short' || text === 'long') return text;
  throw new Error(`${VARIABLE} is short or long, not ${text}`);
}
