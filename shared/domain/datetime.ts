/**
 * Dates in payloads and filters, as microseconds since 1970-01-01T00:00:00Z.
 *
 *   2024-02-29T12:30:00.25Z       RFC 3339; "t" or a blank may stand for "T"
 *   2024-02-29T12:30:00+0530      offsets as +HH:MM, +HHMM and +HH
 *   2024-02-29T12:30:00           no offset means UTC
 *   2024-02-29 12:30              no seconds, only after a blank
 *   2024-02-29                    the start of the day
 *
 * Digits beyond microseconds are cut off. The number is a double: exact until the year 2255,
 * within 32 microseconds until 9999.
 */

const DATETIME =
  /^(\d{4})-(\d\d)-(\d\d)(?:([Tt ])(\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d(?::?\d\d)?)?)?)?$/;

const MICROS_PER_SECOND = 1_000_000;
const SECONDS_PER_DAY = 86_400;
const MONTH_DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** Microseconds since 1970, or undefined when the text is not a date in one of the forms above. */
export function parseDatetime(text: string): number | undefined {
  const match = DATETIME.exec(text);
  if (match === null) return undefined;
  const [, year, month, day, separator, hour, minute, second, fraction, offset] = match;
  if (separator !== undefined && separator !== ' ' && second === undefined) return undefined;
  const days = daysSince1970(Number(year), Number(month), Number(day));
  const daySeconds = secondsOfDay(Number(hour ?? 0), Number(minute ?? 0), Number(second ?? 0));
  const offsetSeconds = parseOffset(offset);
  if (days === undefined || daySeconds === undefined || offsetSeconds === undefined) {
    return undefined;
  }
  const micros = Number((fraction ?? '').slice(0, 6).padEnd(6, '0'));
  return (days * SECONDS_PER_DAY + daySeconds - offsetSeconds) * MICROS_PER_SECOND + micros;
}

/** A 60th second is a leap second and counts as the next minute's first. */
function secondsOfDay(hour: number, minute: number, second: number): number | undefined {
  if (hour > 23 || minute > 59 || second > 60) return undefined;
  return hour * 3_600 + minute * 60 + second;
}

function parseOffset(offset: string | undefined): number | undefined {
  if (offset === undefined || offset === 'Z' || offset === 'z') return 0;
  const hours = Number(offset.slice(1, 3));
  const minutes = Number(offset.slice(3).replace(':', ''));
  if (hours > 23 || minutes > 59) return undefined;
  return (offset[0] === '-' ? -1 : 1) * (hours * 3_600 + minutes * 60);
}

/** Days of the proleptic Gregorian calendar (Hinnant, "chrono-Compatible Low-Level Date
 * Algorithms", `days_from_civil`). Undefined when the day does not exist. */
function daysSince1970(year: number, month: number, day: number): number | undefined {
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  const monthDays = month === 2 && leap ? 29 : MONTH_DAYS[month - 1];
  if (monthDays === undefined || day < 1 || day > monthDays) return undefined;
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const yearOfEra = y - era * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  const dayOfEra =
    yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 719_468;
}
