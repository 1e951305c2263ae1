/** Durations (`90s`, `30m`, `24h`, `7d`) and points in time as people write them. */
import { InvalidArgumentError } from 'commander';
import { systemClock } from '../../../shared/base/clock.ts';

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 };
const FORM = /^([0-9]{1,9})([smhd])$/;

/** Seconds; `now` is 0. */
export function parseDuration(text: string): number {
  if (text === 'now') return 0;
  const [, count, unit = ''] = FORM.exec(text) ?? [];
  const seconds = SECONDS[unit];
  if (count !== undefined && seconds !== undefined) return Number(count) * seconds;
  throw new InvalidArgumentError('It is a number and s, m, h or d, such as 24h, or now.');
}

/** An expiry: a duration counts from now; a time, and `never`, are passed on. */
export function parseExpiry(text: string): string {
  if (!FORM.test(text)) return text;
  return new Date(systemClock.now() + parseDuration(text) * 1_000).toISOString();
}
