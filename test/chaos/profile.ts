/**
 * How long the faults go on. The short profile is part of `npm test`; `npm run chaos` runs the long
 * one (`CHAOS=long`).
 */
export const IS_LONG = process.env.CHAOS === 'long';

/** A count or a time of the short or of the long profile. */
export function byProfile(short: number, long: number): number {
  return IS_LONG ? long : short;
}
