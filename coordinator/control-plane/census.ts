/** Censuses as operators see them, and the last one as a client sees its own part. */
import type { Readable } from 'node:stream';
import type { Clock } from '../../shared/base/clock.ts';
import type { ClientId } from '../../shared/base/ids.ts';
import type { Mode } from '../../shared/domain/collection.ts';
import { LIMITS } from '../../shared/domain/limits.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { CensusArchive } from '../census/archive.ts';
import { type Census, censusOf } from '../census/census.ts';
import {
  type CensusClient,
  type CensusCollection,
  type CensusLine,
  dayOf,
  firstHourOf,
} from '../census/lines.ts';
import type { CensusRecord, StorageRow } from '../ledger/entries.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Origin } from '../store/admin-audit.ts';
import type { ControlStore } from '../store/control-store.ts';
import { type Page, pageOf } from './page.ts';

/** One that was asked for, and is not there yet. */
type CensusToCome = Pick<CensusRecord, 'census' | 'day' | 'kind' | 'startedAt'> & {
  state: 'under_way';
};
export type CensusView = CensusRecord | CensusToCome;

/** What a census found of one client. */
export interface ClientCensusPage {
  census: string;
  clientId: ClientId;
  /** Undefined when it was not there. */
  client: CensusClient | undefined;
  collections: CensusCollection[];
  /** How many were passed by then; null: that was all. */
  next: number | null;
}

export interface OwnCensus {
  /** Undefined while there is none. */
  record: CensusRecord | undefined;
  rows: StorageRow[];
}

interface CensusAdminDeps {
  store: Pick<ControlStore, 'censusRequests' | 'audited' | 'afterCommit'>;
  ledger: Pick<Ledger, 'ask'>;
  archive: Pick<CensusArchive, 'texts' | 'open'>;
  census: Pick<Census, 'soon'>;
  /** PEM (SPKI) of the key that verifies archives. */
  publicKey: string;
  clock: Clock;
}

export class CensusAdmin {
  readonly publicKey: string;
  readonly #deps: CensusAdminDeps;

  constructor(deps: CensusAdminDeps) {
    this.publicKey = deps.publicKey;
    this.#deps = deps;
  }

  /** Those that were taken, the newest first. */
  async list({
    before = null,
    limit,
  }: {
    before?: string | null | undefined;
    limit: number;
  }): Promise<Page<CensusRecord>> {
    const found = await this.#deps.ledger.ask('census-list', { before, limit: limit + 1 });
    return pageOf(found, limit, ({ census }) => census);
  }

  /**
   * Has one taken now, beside that of the day; it is when the process dies, too. Throws `conflict` while another
   * one is under way, and when the day has had as many as it may.
   */
  take(origin: Origin): CensusToCome {
    const { store, clock, census: taker } = this.#deps;
    const now = clock.now();
    const day = dayOf(now);
    return store.audited(origin, () => {
      const { censusRequests: requests } = store;
      const [waiting] = requests.waiting();
      if (waiting !== undefined) {
        throw new AppError('conflict', `the census ${censusOf(waiting)} is under way: wait for it`);
      }
      const most = LIMITS.censusesOnDemandPerDayMax;
      if (requests.count(day) >= most) {
        throw new AppError('conflict', `a day has ${most} censuses on demand at most`);
      }
      const census = censusOf(requests.add(day, now));
      store.afterCommit(() => taker.soon());
      const after = { census, day, kind: 'on_demand' } as const;
      const result = { ...after, state: 'under_way', startedAt: now } as const;
      return { action: 'census.take', target: census, before: null, after, result };
    });
  }

  /** Throws `not_found`. */
  async show(name: string): Promise<CensusView> {
    const { store, ledger } = this.#deps;
    const record = await ledger.ask('census', name);
    if (record !== undefined) return record;
    const request = store.censusRequests.waiting().find((one) => censusOf(one) === name);
    if (request === undefined) throw new AppError('not_found', NO_CENSUS);
    const { day, at } = request;
    return { census: name, day, kind: 'on_demand', state: 'under_way', startedAt: at };
  }

  /** The bytes of its archive. Throws `not_found`. */
  async archive(name: string): Promise<{ file: string; bytes: number; stream: Readable }> {
    const { file } = await this.#taken(name);
    const opened = await this.#deps.archive.open(file);
    if (opened === undefined) throw new AppError('not_found', 'its archive is not kept any more');
    return { file, ...opened };
  }

  /** Throws `not_found`, also when the archive is not kept any more. */
  async ofClient(
    clientId: ClientId,
    { census, after, limit }: { census: string | undefined; after: number; limit: number },
  ): Promise<ClientCensusPage> {
    const record = await this.#taken(census);
    const opened = await this.#deps.archive.open(record.file);
    if (opened === undefined) throw new AppError('not_found', 'its archive is not kept any more');
    opened.stream.destroy();
    const page: ClientCensusPage = {
      census: record.census,
      clientId,
      client: undefined,
      collections: [],
      next: null,
    };
    let passed = 0;
    for await (const line of this.#linesOf(record.file, clientId)) {
      if ('live' in line) {
        page.client = line;
        continue;
      }
      passed += 1;
      if (passed <= after) continue;
      if (page.collections.length === limit) {
        page.next = passed - 1;
        break;
      }
      page.collections.push(line);
    }
    return page;
  }

  /** What a client stored as the last census of a day has it. */
  async latestOf(owner: {
    clientId: ClientId;
    mode: Mode;
    namespaces: readonly string[] | null;
  }): Promise<OwnCensus> {
    const { ledger } = this.#deps;
    const record = await ledger.ask('census-last', undefined);
    if (record === undefined) return { record, rows: [] };
    const { clientId, mode, namespaces } = owner;
    const hour = firstHourOf(record.day);
    const limit = LIMITS.collectionsPerClientMax;
    const about = { clientId, mode, namespaces, hour, limit };
    return { record, rows: await ledger.ask('census-storage', about) };
  }

  /** Of that name, or the last one of a day. */
  async #taken(name: string | undefined): Promise<CensusRecord> {
    const { ledger } = this.#deps;
    const record =
      name === undefined
        ? await ledger.ask('census-last', undefined)
        : await ledger.ask('census', name);
    if (record !== undefined) return record;
    throw new AppError('not_found', name === undefined ? 'there is no census yet' : NO_CENSUS);
  }

  /** Those of a client stand together. */
  async *#linesOf(
    file: string,
    clientId: ClientId,
  ): AsyncIterable<CensusClient | CensusCollection> {
    let wasThere = false;
    for await (const text of this.#deps.archive.texts(file)) {
      // Most lines are others': looking for the id costs less than parsing them.
      const line = text.includes(clientId) ? (JSON.parse(text) as CensusLine) : undefined;
      const isOwn = line !== undefined && 'client_id' in line && line.client_id === clientId;
      if (isOwn) yield line;
      else if (wasThere) return;
      wasThere = isOwn;
    }
  }
}

const NO_CENSUS = 'there is no census of that name';
