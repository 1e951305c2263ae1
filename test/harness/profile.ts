/**
 * How much a test does that could go on for hours: `npm run test:long` (`TEST_PROFILE=long`) does all of it,
 * a usual run a part that fits between other tests.
 */

const VARIABLE = 'TEST_PROFILE';

export const IS_LONG = isLong();

function isLong(): boolean {
  const text = process.env[VARIABLE] ?? 'short';
  if (text === 'short' || text === 'long') return text === 'long';
  throw new Error(`${VARIABLE} is short or long, not ${text}`);
}

/** A count or a time of the short or of the long profile. */
export function byProfile(short: number, long: number): number {
  return IS_LONG ? long : short;
}
