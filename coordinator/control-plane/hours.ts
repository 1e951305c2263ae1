/** Intervals of hours as people write them: from one time on and before another, RFC 3339. */
import { InvalidInput } from '../../shared/base/invalid.ts';
import { parseDatetime } from '../../shared/domain/datetime.ts';
import { hourOf } from '../../shared/protocol/meter.ts';

export interface WantedHours {
  /** The hour that it is in is the first one. By default that the month began with. */
  from?: string | undefined;
  /** The hour that it is in is the last one, unless it is its beginning. By default now. */
  until?: string | undefined;
}

/** Hours since 1970: from one on, and before the other. */
export interface Hours {
  from: number;
  until: number;
}

const MICROS_PER_HOUR = 3_600_000_000;

/** `now` in milliseconds since 1970. Throws `InvalidInput`. */
export function parseHours(wanted: WantedHours, now: number): Hours {
  const from = wanted.from === undefined ? startOfMonth(now) : hourIn(wanted.from, 'from');
  const until = wanted.until === undefined ? hourOf(now) + 1 : hourIn(wanted.until, 'until', 1);
  if (until <= from) throw new InvalidInput('until', 'must be after "from"');
  return { from, until };
}

/** The hour that a time is in; with `round` 1 the one after it, unless it is the beginning of one. */
function hourIn(text: string, field: string, round: 0 | 1 = 0): number {
  const micros = parseDatetime(text);
  if (micros === undefined || micros < 0) {
    throw new InvalidInput(
      field,
      'must be a time as in RFC 3339, for example 2026-11-01T00:00:00Z',
    );
  }
  const hours = micros / MICROS_PER_HOUR;
  return round === 1 ? Math.ceil(hours) : Math.floor(hours);
}

function startOfMonth(now: number): number {
  const date = new Date(now);
  return hourOf(Date.UTC(date.getUTCFullYear(), date.getUTCMonth()));
}
