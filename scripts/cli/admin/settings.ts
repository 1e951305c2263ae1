/** `NAME=NUMBER` as options give them, for limits and prices. */
import { InvalidArgumentError } from 'commander';
import type { Numbers } from './reply-fields.ts';

/** What is set, and null for what is taken away (`NAME=`). */
export type Settings = Readonly<Record<string, number | null>>;

/** Collects an option that may be given several times. */
export function collectSetting(text: string, before: Settings = {}): Settings {
  const [, name, value] = /^([a-z_]+)=([0-9]*)$/.exec(text) ?? [];
  if (name === undefined || value === undefined) {
    throw new InvalidArgumentError('It is NAME=NUMBER, or NAME= to take it away.');
  }
  return { ...before, [name]: value === '' ? null : Number(value) };
}

export function withSettings(numbers: Numbers, settings: Settings = {}): Numbers {
  const merged = Object.entries({ ...numbers, ...settings });
  return Object.fromEntries(
    merged.flatMap(([name, value]) => (value === null ? [] : [[name, value]])),
  );
}

export function formatNumbers(numbers: Numbers): string {
  return Object.entries(numbers)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ');
}
