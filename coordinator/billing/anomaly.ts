/**
 * Whether an hour of a client is far outside of the client's own history.
 *
 * It is compared with the hours of the last four weeks that should be like it: those of the same kind of day (Monday
 * to Friday, or the weekend; UTC) and the same hour of the day, 20 or 8 of them. How far such hours are from
 * each other is learned from the hours before and after these, too, 60 or 24, each from those of its own hour
 * of the day: a load that doubles from hour to hour each morning is not noise.
 *
 *   y = ln(1 + value)      so that twice as much and half as much are as far, whatever the size
 *   m = median of y in the same hour of the day
 *   s = max(1.4826 x MAD, 0.25)      MAD: median of |y - m|, each with the m of its own hour of the day;
 *                                    a quarter covers what is too even
 *   an anomaly: |y - m| > 6 s
 *
 * Median and MAD stand whatever a quarter of the history was (the "modified z-score" of Iglewicz and Hoaglin, How to
 * Detect and Handle Outliers, 1993; 1.4826 makes of the MAD the standard deviation of normal noise). Theirs
 * says 3.5; with 6, and at least 1.5 in y, only what is 4.5 times the usual or less than a fifth of it is told.
 *
 * Where little or nothing is usual in that hour (below the measure's floor), median and MAD say nothing: a job that
 * runs now and then would be told each time. Then it takes three times the largest hour of the four weeks. Values
 * below the floor are never too much. Errors are the share of requests, per mille, of hours with enough requests.
 *
 * Cold start: no verdict before the client has three weeks of history.
 */
import { must } from '../../shared/base/assert.ts';
import type { HourMeasures } from '../ledger/hourly-measures.ts';

export const ANOMALY_MEASURES = [
  'queries',
  'units',
  'points_written',
  'bytes_out',
  'errors',
] as const;
export type AnomalyMeasure = (typeof ANOMALY_MEASURES)[number];

export interface Anomaly {
  measure: AnomalyMeasure;
  /** Of the hour; errors per mille of requests. */
  value: number;
  /** What is usual in such an hour, and the bound that was passed. */
  usual: number;
  limit: number;
}

const DAY = 24;
/** Days of history. */
export const HISTORY_DAYS = 28;
/** Hours that there have to be since the client's first one. */
export const COLD_START_HOURS = 21 * DAY;
const SAMPLES_MIN = 4;
/** The hour itself first. */
const NEIGHBOURS = [0, -1, 1];
const SIGMA_PER_MAD = 1.4826;
const SIGMA_MIN = 0.25;
const SIGMAS = 6;
/** Where little is usual: so many times the largest hour. */
const TIMES_LARGEST = 3;
/** Requests that a share of errors is taken of. */
const REQUESTS_MIN = 100;

interface MeasureSpec {
  /** What is less is not worth a word. */
  floor: number;
  /** Undefined: it can not be said of that hour. */
  of: (hour: HourMeasures) => number | undefined;
  /** Whether too little is an anomaly, too. */
  down: boolean;
}

const SPECS: Readonly<Record<AnomalyMeasure, MeasureSpec>> = {
  queries: { floor: 200, of: ({ queries }) => queries, down: true },
  units: { floor: 200, of: ({ units }) => units, down: true },
  points_written: { floor: 1_000, of: ({ written }) => written, down: true },
  bytes_out: { floor: 2 ** 20, of: ({ bytesOut }) => bytesOut, down: true },
  errors: { floor: 50, of: errorShare, down: false },
};

function errorShare({ requests, errors }: HourMeasures): number | undefined {
  return requests < REQUESTS_MIN ? undefined : Math.round((errors * 1_000) / requests);
}

/**
 * What is far outside in `hour`. `history` has the hours before it and itself, but for those in which there was
 * nothing; `first` is the client's first hour.
 */
export function anomaliesOf(
  hour: number,
  history: ReadonlyMap<number, HourMeasures>,
  first: number | null,
): Anomaly[] {
  if (first === null || hour - first < COLD_START_HOURS) return [];
  const at = (time: number) => history.get(time) ?? nothingIn(time);
  const days = likeDays(hour);
  const samples = NEIGHBOURS.map((away) => {
    const times = days.map((time) => time + away).filter((time) => time >= first);
    return times.map(at);
  });
  return ANOMALY_MEASURES.flatMap((measure) => {
    const { of } = SPECS[measure];
    const value = of(at(hour));
    const known = samples.map((own) => own.map(of).filter((sample) => sample !== undefined));
    if (value === undefined || known.some(({ length }) => length < SAMPLES_MIN)) return [];
    const found = verdict(value, known, SPECS[measure], () => largestOf(history, hour, of));
    return found === undefined ? [] : [{ measure, value, ...found }];
  });
}

function nothingIn(hour: number): HourMeasures {
  return { hour, requests: 0, errors: 0, queries: 0, units: 0, bytesOut: 0, written: 0 };
}

/** The same hour on the days before it that should be like it. */
function likeDays(hour: number): number[] {
  const days = Array.from({ length: HISTORY_DAYS }, (_, day) => hour - (day + 1) * DAY);
  return days.filter((same) => isWeekend(same) === isWeekend(hour));
}

/** The first of January 1970 was a Thursday. */
function isWeekend(hour: number): boolean {
  const dayOfWeek = (Math.floor(hour / DAY) + 4) % 7;
  return dayOfWeek === 0 || dayOfWeek === 6;
}

function largestOf(
  history: ReadonlyMap<number, HourMeasures>,
  hour: number,
  of: MeasureSpec['of'],
): number {
  let largest = 0;
  for (const [time, measures] of history) {
    if (time < hour) largest = Math.max(largest, of(measures) ?? 0);
  }
  return largest;
}

function verdict(
  value: number,
  samples: readonly (readonly number[])[],
  { floor, down }: MeasureSpec,
  largest: () => number,
): Pick<Anomaly, 'usual' | 'limit'> | undefined {
  const logs = samples.map((own) => own.map(Math.log1p));
  const middles = logs.map(medianOf);
  const middle = must(middles[0], 'the hour itself is the first');
  const usual = Math.round(Math.expm1(middle));
  if (usual < floor) {
    if (value < floor) return undefined;
    const limit = Math.max(floor, TIMES_LARGEST * largest());
    return value > limit ? { usual, limit } : undefined;
  }
  const apart = logs.flatMap((own, n) => own.map((log) => Math.abs(log - (middles[n] ?? middle))));
  const mad = medianOf(apart);
  const reach = SIGMAS * Math.max(SIGMA_PER_MAD * mad, SIGMA_MIN);
  const distance = Math.log1p(value) - middle;
  if (Math.abs(distance) <= reach || (distance < 0 && !down)) return undefined;
  const limit = Math.round(Math.expm1(middle + Math.sign(distance) * reach));
  return { usual, limit: Math.max(0, limit) };
}

function medianOf(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = must(sorted[middle], 'there are values');
  return sorted.length % 2 === 1 ? upper : (upper + must(sorted[middle - 1], 'and before it')) / 2;
}
