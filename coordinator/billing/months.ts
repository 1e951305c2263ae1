/** Billing months: calendar months (UTC), counted from January 1970. Hours count from 1970, too. */

const MS_PER_HOUR = 3_600_000;
const MONTHS_PER_YEAR = 12;
const FORM = /^(\d{4})-(0[1-9]|1[0-2])$/;

/** The month that an hour is in. */
export function monthOfHour(hour: number): number {
  const date = new Date(hour * MS_PER_HOUR);
  return (date.getUTCFullYear() - 1970) * MONTHS_PER_YEAR + date.getUTCMonth();
}

/** The first hour of a month. */
export function monthStart(month: number): number {
  return Date.UTC(1970, month) / MS_PER_HOUR;
}

/** Hours of a month, 672 to 744. */
export function monthHours(month: number): number {
  return monthStart(month + 1) - monthStart(month);
}

/** `2028-02`. */
export function formatMonth(month: number): string {
  const year = 1970 + Math.floor(month / MONTHS_PER_YEAR);
  return `${year}-${String((month % MONTHS_PER_YEAR) + 1).padStart(2, '0')}`;
}

/** The month that a text like `2028-02` names; undefined when it is none since 1970. */
export function parseMonth(text: string): number | undefined {
  const [, year, month] = FORM.exec(text) ?? [];
  const number = (Number(year) - 1970) * MONTHS_PER_YEAR + Number(month) - 1;
  return number >= 0 ? number : undefined;
}
