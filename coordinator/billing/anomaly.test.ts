/** Years of simulated clients: what is usual is not told, and what is not is. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SeededRandom } from '../../shared/base/random.ts';
import { IS_LONG } from '../../test/harness/profile.ts';
import { takeSeed } from '../../test/harness/seed.ts';
import type { HourMeasures } from '../ledger/hourly-measures.ts';
import { ANOMALY_MEASURES, anomaliesOf, COLD_START_HOURS, HISTORY_DAYS } from './anomaly.ts';

const DAY = 24;
const YEAR = 365 * DAY;
/** A Monday. */
const START = Date.parse('2026-01-05T00:00:00Z') / 3_600_000;

/** By day and week as people work, with noise, and a few percent more each month. */
function loadAt(hour: number, random: SeededRandom, size: number): HourMeasures {
  const age = hour - START;
  const ofDay = 1 + 0.9 * Math.sin((2 * Math.PI * ((hour % DAY) - 9)) / DAY);
  const isWeekend = Math.floor(age / DAY) % 7 >= 5;
  const growth = 1.03 ** (age / (30 * DAY));
  const mean = size * (ofDay + 0.1) * (isWeekend ? 0.3 : 1) * growth;
  const noisy = (of: number) => Math.max(0, Math.round(of * Math.exp(0.25 * random.normal())));
  const queries = noisy(mean);
  const requests = noisy(mean * 1.2);
  const errors = Math.min(requests, noisy(requests * 0.01));
  const more = { units: 2 * queries, bytesOut: 900 * queries, written: noisy(mean / 2) };
  return { hour, requests, errors, queries, ...more };
}

class Simulation {
  readonly hours = new Map<number, HourMeasures>();
  /** Verdicts that were asked for, one an hour and measure. */
  verdicts = 0;

  /** What is told of the hour, with the four weeks before it. */
  next(hour: number, measures: HourMeasures | undefined) {
    if (measures !== undefined) this.hours.set(hour, measures);
    this.hours.delete(hour - HISTORY_DAYS * DAY - 2);
    if (hour - START >= COLD_START_HOURS) this.verdicts += 5;
    return anomaliesOf(hour, this.hours, START);
  }
}

test('a year of load that follows day and week raises next to nothing', (t) => {
  const random = new SeededRandom(takeSeed(t, 71));
  let found = 0;
  let verdicts = 0;
  for (const size of IS_LONG ? [50, 500, 5_000, 50_000, 1_000_000] : [5_000]) {
    const simulation = new Simulation();
    for (let hour = START; hour < START + YEAR; hour += 1) {
      found += simulation.next(hour, loadAt(hour, random, size)).length;
    }
    verdicts += simulation.verdicts;
  }
  t.diagnostic(`${found} of ${verdicts} verdicts`);
  assert.ok(found / verdicts < 1 / 10_000, `${found} of ${verdicts}`);
});

test('a job that runs at any hour of each day is not told each time', (t) => {
  const random = new SeededRandom(takeSeed(t, 72));
  const simulation = new Simulation();
  let found = 0;
  let due = 0;
  for (let hour = START; hour < START + YEAR; hour += 1) {
    if (hour % DAY === 0) due = hour + random.below(DAY);
    const written = Math.round(50_000 * Math.exp(0.2 * random.normal()));
    const none = { hour, requests: 1, errors: 0, queries: 0, units: 0, bytesOut: 0 };
    found += simulation.next(hour, hour === due ? { ...none, written } : undefined).length;
  }
  assert.equal(found, 0);
});

test('ten times as much is found, at any hour, and so is silence', (t) => {
  const random = new SeededRandom(takeSeed(t, 73));
  const simulation = new Simulation();
  const missed: string[] = [];
  let asked = 0;
  for (let hour = START; hour < START + 80 * DAY; hour += 1) {
    const usual = loadAt(hour, random, 200_000);
    if (hour - START < COLD_START_HOURS || hour % 7 > 1) {
      simulation.next(hour, usual);
      continue;
    }
    const times = hour % 7 === 0 ? 10 : 0;
    const { queries, units, bytesOut, written, requests, errors } = usual;
    const grown = { queries: queries * times, units: units * times, written: written * times };
    const more = { requests, errors: times === 0 ? errors : Math.round(requests / 2) };
    const spike = { hour, ...grown, bytesOut: bytesOut * times, ...more };
    const told = new Set(simulation.next(hour, spike).map(({ measure }) => measure));
    for (const measure of ANOMALY_MEASURES) {
      if (times === 0 && measure === 'errors') continue;
      asked += 1;
      if (!told.has(measure)) missed.push(`${measure} x ${times} at ${hour - START}`);
    }
    simulation.hours.set(hour, usual);
  }
  t.diagnostic(`${missed.length} of ${asked} missed`);
  assert.ok(asked > 1_500);
  assert.ok(missed.length <= asked / 100, missed.slice(0, 10).join('; '));
});

test('nothing is said of a client that has not three weeks of history', () => {
  const calm = (hour: number, queries: number): HourMeasures => {
    return { hour, requests: queries, errors: 0, queries, units: 0, bytesOut: 0, written: 0 };
  };
  const hours = new Map<number, HourMeasures>();
  for (let hour = START; hour < START + COLD_START_HOURS; hour += 1) {
    hours.set(hour, calm(hour, 1_000));
  }
  const last = START + COLD_START_HOURS - 1;
  hours.set(last, calm(last, 1_000_000));
  assert.deepEqual(anomaliesOf(last, hours, START), []);
  assert.deepEqual(anomaliesOf(last, hours, null), []);
  hours.set(last, calm(last, 1_000));
  hours.set(last + 1, calm(last + 1, 1_000_000));
  const told = { measure: 'queries', value: 1_000_000, usual: 1_000, limit: 4_485 };
  assert.deepEqual(anomaliesOf(last + 1, hours, START), [told]);
});

test('small counts are nobody news', () => {
  const hours = new Map<number, HourMeasures>();
  const rare = { requests: 5, errors: 5, units: 3, bytesOut: 10, written: 1 };
  for (let hour = START; hour < START + 40 * DAY; hour += 1) {
    hours.set(hour, { hour, ...rare, queries: hour % 5 });
  }
  const now = START + 40 * DAY;
  hours.set(now, { hour: now, ...rare, queries: 199 });
  assert.deepEqual(anomaliesOf(now, hours, START), []);
  hours.set(now, { hour: now, ...rare, queries: 201 });
  assert.deepEqual(anomaliesOf(now, hours, START), [
    { measure: 'queries', value: 201, usual: 2, limit: 200 },
  ]);
});
