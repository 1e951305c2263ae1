/** A span of usage in SQL: of one client and mode, from one hour on and before another, by period. */
import type { Period, UsageSpan } from './entries.ts';

export type UsageBound = Omit<UsageSpan, 'namespaces' | 'by'> & { namespaces: string | null };

export function boundOf({ by: _, namespaces, ...span }: UsageSpan): UsageBound {
  return { ...span, namespaces: namespaces && JSON.stringify(namespaces) };
}

export const IN_NAMESPACES =
  '(@namespaces IS NULL OR namespace IN (SELECT value FROM json_each(@namespaces)))';

export const WITHIN = `client_id = @clientId AND mode = @mode AND hour >= @from AND hour < @until
  AND ${IN_NAMESPACES}`;

/** `start` is the hour that the period of a row begins with. */
export function byPeriod<T>(prepare: (start: string) => T): Record<Period, T> {
  return {
    hour: prepare('hour'),
    day: prepare('hour - hour % 24'),
    month: prepare(`unixepoch(hour * 3600, 'unixepoch', 'start of month') / 3600`),
  };
}
