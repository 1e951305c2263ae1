/**
 * The census: once a day (UTC), and on demand, what every client has: each of its collections, with points and
 * bytes at a version that is said, and with where its copies are and what they take. It is archived, sealed,
 * and in the ledger.
 *
 *   day begins, or a start finds that today has none
 *      |
 *      v
 *   survey --all shards known--------------------------> archive --> ledger: rows --> ledger: record
 *      |                                        ^           |
 *      \-some unknown--> draft (a file) --------/           \- the process dies: the next start reads the
 *                         | ^   known in the end,              archive and enters it
 *                         \-/   or the day is over
 *                       ask again: a worker came, a minute has passed
 *
 * That a day has its census is said by the record, and before that by the archive, which is there whole or not at
 * all. So whatever dies, and however the clock is set, a day has one: what is repeated finds it. A draft is kept in
 * a file, so that a day which ends while the coordinator is down has its census, too. Days on which the
 * coordinator never ran have none.
 */
import type { Clock } from '../../shared/base/clock.ts';
import type { Deadline } from '../../shared/base/deadline.ts';
import type { Notice } from '../../shared/domain/notices.ts';
import type { Log } from '../../shared/log/log.ts';
import type { CensusRecord } from '../ledger/entries.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { CensusRequest, CensusRequestsTable } from '../store/census-requests.ts';
import { BrokenArchive, CensusArchive } from './archive.ts';
import { enterArchive } from './enter-archive.ts';
import { archiveFileOf, dayOf } from './lines.ts';
import {
  linesOf,
  type Survey,
  type Surveyor,
  SurveyStopped,
  surveyOf,
  unknownIn,
} from './survey.ts';

export interface CensusDeps {
  surveyor: Pick<Surveyor, 'survey' | 'again' | 'stop'>;
  archive: CensusArchive;
  ledger: Pick<Ledger, 'append' | 'ask'>;
  requests: Pick<CensusRequestsTable, 'waiting' | 'done'>;
  clock: Clock;
  log: Log;
  /** Has operators told. */
  tell: (notice: Notice) => void;
}

/** Workers that were there before are back by then. */
const START_PAUSE_MS = 3_000;
const TICK_MS = 60_000;
const MS_PER_DAY = 86_400_000;
/** After a worker came: others may come with it. */
const ARRIVAL_PAUSE_MS = 1_000;

export class Census {
  readonly #deps: CensusDeps;
  readonly #keepDays: number;
  /** That of a day with shards that are unknown so far. */
  #draft: Survey | undefined;
  /** Whether its file says the same. */
  #isDraftKept = true;
  /** The last day that is known to have its census. */
  #doneDay: string | undefined;
  #isTakenUp = false;
  /** Archives that are not in the ledger yet. */
  readonly #left = new Set<string>();
  #state: 'new' | 'idle' | 'busy' | 'closed' = 'new';
  #running = Promise.resolve();
  #isWanted = false;
  #cancel: (() => void) | undefined;
  /** When something is done next, in monotonic time. */
  #dueMs = 0;

  constructor(deps: CensusDeps, { keepDays }: { keepDays: number }) {
    this.#deps = deps;
    this.#keepDays = keepDays;
  }

  /** Begins soon. The ledger must be open by then. */
  start(): void {
    this.#state = 'idle';
    this.#after(START_PAUSE_MS);
  }

  /** Takes what is to be taken now. */
  soon(): void {
    if (this.#state === 'busy') this.#isWanted = true;
    else if (this.#state === 'idle') this.#after(0);
  }

  /** A worker can be asked: perhaps one of those that a draft waits for. */
  workerCame(): void {
    if (this.#draft === undefined || this.#state !== 'idle') return;
    const { clock } = this.#deps;
    // One that comes and goes all the time does not put it off.
    if (clock.monotonicMs() + ARRIVAL_PAUSE_MS < this.#dueMs) this.#after(ARRIVAL_PAUSE_MS);
  }

  /** Ends what is under way, as far as the time goes: it is taken up at the next start. */
  async close(deadline: Deadline): Promise<void> {
    this.#state = 'closed';
    this.#cancel?.();
    this.#deps.surveyor.stop();
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const cancel = this.#deps.clock.after(deadline.remainingMs(), resolve);
    await Promise.race([this.#running, late]).finally(cancel);
  }

  #after(ms: number): void {
    this.#cancel?.();
    this.#dueMs = this.#deps.clock.monotonicMs() + ms;
    this.#cancel = this.#deps.clock.after(ms, () => {
      this.#running = this.#run();
    });
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    this.#state = 'busy';
    const { clock } = this.#deps;
    const day = dayOf(clock.now());
    let isGood = await this.#attempt(day, () => this.#takeUp());
    // What was archived is entered before anything else: a census is not taken twice.
    for (const file of this.#left) {
      isGood = (await this.#attempt(dayIn(file), () => this.#enter(file))) && isGood;
    }
    if (isGood) {
      await this.#attempt(day, () => this.#takeDay());
      await this.#attempt(day, () => this.#takeRequests());
    }
    if (this.#isClosed) return;
    this.#state = 'idle';
    const untilMidnightMs = MS_PER_DAY - (clock.now() % MS_PER_DAY);
    this.#after(this.#isWanted ? 0 : Math.min(TICK_MS, untilMidnightMs));
    this.#isWanted = false;
  }

  get #isClosed(): boolean {
    return this.#state === 'closed';
  }

  /** Whether it went well; what fails is tried again at the next tick. */
  async #attempt(census: string, work: () => Promise<void>): Promise<boolean> {
    if (this.#isClosed) return false;
    try {
      await work();
      return true;
    } catch (error) {
      if (!(error instanceof SurveyStopped || this.#isClosed)) this.#failed(census, error);
      return false;
    }
  }

  #failed(census: string, error: unknown): void {
    this.#deps.log.event('census_failed', { census, error });
    const { code, name } = error as { code?: unknown; name?: unknown };
    const data = { day: dayIn(census), reason: String(code ?? name ?? 'error') };
    this.#deps.tell({ type: 'census.failed', clientId: null, key: census, data });
  }

  /** What the process before has left: archives that are in no ledger, and drafts. */
  async #takeUp(): Promise<void> {
    if (this.#isTakenUp) return;
    const { archive, ledger } = this.#deps;
    await archive.start();
    for (const file of await archive.files()) {
      const census = file.slice(0, -archiveFileOf('').length);
      if ((await ledger.ask('census', census)) === undefined) this.#left.add(file);
    }
    for (const day of await archive.drafts()) {
      if (this.#left.has(archiveFileOf(day)) || (await this.#isTaken(day))) continue;
      // One of a day that is over is finished before today's begins.
      const draft = await this.#readDraft(day);
      if (draft === undefined) continue;
      if (day === dayOf(this.#deps.clock.now())) this.#draft = draft;
      else await this.#finish(draft);
    }
    this.#isTakenUp = true;
  }

  /** Undefined for one that is damaged: the census is taken anew then. */
  async #readDraft(day: string): Promise<Survey | undefined> {
    const { archive, log } = this.#deps;
    const file = CensusArchive.draftOf(day);
    try {
      await archive.check(file);
      return await surveyOf(archive.lines(file));
    } catch (error) {
      if (!(error instanceof BrokenArchive)) throw error;
      log.event('census_failed', { census: day, error });
      return undefined;
    }
  }

  async #takeDay(): Promise<void> {
    const { surveyor, clock } = this.#deps;
    const day = dayOf(clock.now());
    const draft = this.#draft;
    if (draft !== undefined) {
      const isOver = draft.head.day !== day;
      const isNew = !isOver && (await surveyor.again(draft));
      if (isNew || !this.#isDraftKept) await this.#keepDraft(draft);
      if (isOver || unknownIn(draft) === 0) await this.#finish(draft);
    }
    if (this.#draft !== undefined || (await this.#isTaken(day))) return;
    const survey = await this.#survey({ census: day, day, kind: 'scheduled' });
    if (unknownIn(survey) === 0) await this.#finish(survey);
    else await this.#keepDraft(survey);
  }

  async #survey(wanted: Parameters<Surveyor['survey']>[0]): Promise<Survey> {
    const { surveyor } = this.#deps;
    const survey = await surveyor.survey(wanted);
    // A worker that did not answer once may have been busy, and a collection may be gone.
    if (unknownIn(survey) > 0) await surveyor.again(survey);
    return survey;
  }

  async #isTaken(day: string): Promise<boolean> {
    if (this.#doneDay === day) return true;
    const found = await this.#deps.ledger.ask('census', day);
    if (found !== undefined) this.#doneDay = day;
    return found !== undefined;
  }

  async #keepDraft(survey: Survey): Promise<void> {
    const { census, day } = survey.head;
    this.#draft = survey;
    this.#isDraftKept = false;
    const unknown = unknownIn(survey);
    if (unknown > 0) this.#deps.log.event('census_waits', { census, unknown });
    await this.#write(survey, CensusArchive.draftOf(day));
    this.#isDraftKept = true;
  }

  async #takeRequests(): Promise<void> {
    for (const request of this.#deps.requests.waiting()) {
      await this.#attempt(censusOf(request), () => this.#takeOnDemand(request));
    }
  }

  async #takeOnDemand(request: CensusRequest): Promise<void> {
    const { ledger, requests } = this.#deps;
    const [census, { day }] = [censusOf(request), request];
    if ((await ledger.ask('census', census)) === undefined) {
      await this.#finish(await this.#survey({ census, day, kind: 'on_demand' }));
    }
    requests.done(request);
  }

  /** Archives it and enters it in the ledger. */
  async #finish(survey: Survey): Promise<void> {
    const file = archiveFileOf(survey.head.census);
    await this.#write(survey, file);
    if (this.#draft?.head.census === survey.head.census) this.#draft = undefined;
    this.#left.add(file);
    await this.#enter(file);
  }

  #write(survey: Survey, file: string): Promise<void> {
    const at = new Date(this.#deps.clock.now()).toISOString();
    const { day, kind } = survey.head;
    return this.#deps.archive.write({ at, day, file, kind }, linesOf(survey, at));
  }

  /** An archive is read back before it counts. One that is damaged is none: the census is taken anew. */
  async #enter(file: string): Promise<void> {
    const { archive, ledger, log } = this.#deps;
    try {
      const record = await enterArchive(file, { archive, ledger });
      const { census, collections, shards, unknownShards: unknown } = record;
      log.event('census_taken', { census, collections, shards, unknown });
      this.#left.delete(file);
      if (record.kind === 'scheduled') await this.#dayIsDone(record);
    } catch (error) {
      if (error instanceof BrokenArchive) this.#left.delete(file);
      throw error;
    }
  }

  async #dayIsDone({ day, shards, unknownShards }: CensusRecord): Promise<void> {
    this.#doneDay = day;
    if (unknownShards > 0) {
      const data = { day, reason: `${unknownShards} of ${shards} shards did not answer` };
      this.#deps.tell({ type: 'census.failed', clientId: null, key: `${day} incomplete`, data });
    }
    await this.#deps.archive.remove(CensusArchive.draftOf(day));
    await this.#prune();
  }

  /** Removes the archives of days before the last ones that are kept, and of those on demand of these days. */
  async #prune(): Promise<void> {
    if (this.#keepDays === 0) return;
    const { archive } = this.#deps;
    const files = await archive.files();
    const days = files.filter((file) => file === archiveFileOf(dayIn(file))).map(dayIn);
    const [first] = days.slice(-this.#keepDays);
    if (first === undefined) return;
    for (const file of files) if (dayIn(file) < first) await archive.remove(file);
  }
}

/** The name of one on demand. */
export function censusOf({ day, number }: Pick<CensusRequest, 'day' | 'number'>): string {
  return `${day}.${String(number).padStart(NUMBER_DIGITS, '0')}`;
}

const NUMBER_DIGITS = 2;

function dayIn(file: string): string {
  return file.slice(0, 'yyyy-mm-dd'.length);
}
