/**
 * What a request may say about a collection. Settings fall in three groups, and none is passed
 * over in silence: those that are kept (size, distance, HNSW), hints about how to store or when to
 * optimise that this service needs no help with (accepted, without effect on any answer), and
 * those that promise what is not there (named or sparse vectors, quantization), which are refused
 * with a sentence.
 */
import { InvalidInput } from '../../shared/base/invalid.ts';
import {
  type CollectionConfig,
  ENGINES,
  type Engine,
  HNSW_DEFAULTS,
  type HnswConfig,
  PAYLOAD_INDEX_TYPES,
  type PayloadIndexType,
  type VectorConfig,
} from '../../shared/domain/collection.ts';
import { DISTANCES, type Distance } from '../../shared/domain/distance.ts';
import { LIMITS } from '../../shared/domain/limits.ts';
import { UNNAMED_VECTOR } from '../../shared/domain/point.ts';
import { refuseUnknown } from './field-path.ts';
import { unknownVectorName } from './parse-vector.ts';

/** With fewer links a graph falls apart. 0 is allowed too: no graph, every search is exact. */
const M_RANGE: Range = { min: 4, max: LIMITS.hnswMMax };
const EF_CONSTRUCT_RANGE: Range = { min: 4, max: LIMITS.hnswEfConstructMax };

const SHARDS_RANGE: Range = { min: 1, max: LIMITS.shardsPerCollectionMax };

/** Why no collection can have this name; undefined when one can. */
export function collectionNameProblem(name: string): string | undefined {
  if (name === '') return 'a collection name is not empty';
  if (Buffer.byteLength(name) > LIMITS.collectionNameBytesMax) {
    return `a collection name has at most ${LIMITS.collectionNameBytesMax} bytes`;
  }
  if (/[/\\]/.test(name) || name === '.' || name.includes('..')) {
    return 'a collection name has no "/", no "\\" and no ".."';
  }
  if (/\p{Cc}|\p{Cs}|\p{Zl}|\p{Zp}/u.test(name)) {
    return 'a collection name has no control characters';
  }
  return undefined;
}

export interface CreateInput {
  vectors?: unknown;
  hnsw_config?: unknown;
  shard_number?: number | null;
  sharding_method?: string | null;
  replication_factor?: number | null;
  write_consistency_factor?: number | null;
  quantization_config?: unknown;
  sparse_vectors?: unknown;
  strict_mode_config?: unknown;
  metadata?: unknown;
}

export interface ParsedCollection {
  config: CollectionConfig;
  /** Copies of each shard. */
  replicationFactor: number;
  /** Copies that must have a write before it is acknowledged. */
  writeConsistencyFactor: number;
}

/** Throws `InvalidInput`. */
export function parseCollection(input: CreateInput): ParsedCollection {
  refuseUnavailable(input);
  return { config: parseConfig(input), ...parseReplication(input) };
}

type ReplicationInput = Pick<CreateInput, 'replication_factor' | 'write_consistency_factor'>;

/** Without `current` of a new collection. `at` is where the fields stand. Throws `InvalidInput`. */
export function parseReplication(
  input: ReplicationInput,
  current = { replicationFactor: 1, writeConsistencyFactor: 1 },
  at = '',
): Pick<ParsedCollection, 'replicationFactor' | 'writeConsistencyFactor'> {
  const replicationFactor = input.replication_factor ?? current.replicationFactor;
  const writeConsistencyFactor = input.write_consistency_factor ?? current.writeConsistencyFactor;
  if (replicationFactor > LIMITS.replicasMax) {
    throw new InvalidInput(`${at}replication_factor`, `is at most ${LIMITS.replicasMax}`);
  }
  if (writeConsistencyFactor > replicationFactor) {
    const problem = 'is at most the replication_factor: no more copies can have a write';
    throw new InvalidInput(`${at}write_consistency_factor`, problem);
  }
  return { replicationFactor, writeConsistencyFactor };
}

function parseConfig(input: CreateInput): CollectionConfig {
  const vector = unnamedConfigOf(input.vectors);
  const hnsw = mergeHnsw(HNSW_DEFAULTS, input.hnsw_config, 'hnsw_config');
  return {
    vector: {
      dimension: parseSize(vector.size),
      distance: parseDistance(vector.distance),
      ...onDiskOf(vector.on_disk),
    },
    hnsw: mergeHnsw(hnsw, vector.hnsw_config, 'vectors.hnsw_config'),
  };
}

/** How many shards a collection shall have. Throws `InvalidInput`. */
export function parseShardNumber(input: unknown): number {
  return integerOr(1, input, SHARDS_RANGE, 'shard_number');
}

export interface UpdateInput {
  vectors?: unknown;
  hnsw_config?: unknown;
  quantization_config?: unknown;
  sparse_vectors?: unknown;
  strict_mode_config?: unknown;
  metadata?: unknown;
  params?: {
    replication_factor?: number | null;
    write_consistency_factor?: number | null;
    shard_number?: number | null;
  } | null;
}

/** How many shards the collection shall have; undefined: as many as it has. Throws `InvalidInput`. */
export function parseShardChange({ params }: UpdateInput): number | undefined {
  const input = params?.shard_number ?? null;
  if (input === null) return undefined;
  return integerOr(1, input, SHARDS_RANGE, 'params.shard_number');
}

/** Whether an update says anything but how many shards there shall be. */
export function changesMore({ params, ...others }: UpdateInput): boolean {
  const { shard_number: _, ...otherParams } = params ?? {};
  return [...Object.values(others), ...Object.values(otherParams)].some((value) => {
    return value !== undefined && value !== null;
  });
}

/** The configuration after a change. Throws `InvalidInput`. */
export function parseUpdate(input: UpdateInput, current: CollectionConfig): CollectionConfig {
  refuseUnavailable({ ...input, ...input.params });
  const hnsw = mergeHnsw(current.hnsw, input.hnsw_config, 'hnsw_config');
  if ((input.vectors ?? null) === null) return { vector: current.vector, hnsw };
  const vectors = asObject(input.vectors, 'vectors');
  const vector = asObject(unnamedEntryOf(vectors), 'vectors');
  refuseVectorSettings(vector, ['hnsw_config', 'quantization_config', 'on_disk', 'memory']);
  return {
    vector: current.vector,
    hnsw: mergeHnsw(hnsw, vector.hnsw_config, 'vectors.hnsw_config'),
  };
}

function refuseUnavailable(input: CreateInput): void {
  refuseOther(input.sharding_method, 'auto', 'sharding_method', 'only "auto" is available');
  refuseGiven(input.quantization_config, 'quantization_config', 'vectors are kept as float32');
  refuseGiven(input.sparse_vectors, 'sparse_vectors', 'sparse vectors are not available');
  refuseGiven(input.metadata, 'metadata', 'metadata of collections is not kept');
  const strict = input.strict_mode_config;
  if (typeof strict === 'object' && strict !== null && 'enabled' in strict && strict.enabled) {
    throw new InvalidInput('strict_mode_config', 'strict mode is not available: leave it out');
  }
}

function refuseOther<T>(given: T | null | undefined, only: T, path: string, why: string): void {
  if (given === undefined || given === null || given === only) return;
  throw new InvalidInput(path, `${why}: leave it out`);
}

/** Absent, null and the empty object say nothing and are fine. */
function refuseGiven(given: unknown, path: string, why: string): void {
  if (given === undefined || given === null) return;
  if (typeof given === 'object' && Object.keys(given).length === 0) return;
  throw new InvalidInput(path, `${why}: leave it out`);
}

/** `{"size": 4, "distance": "Dot"}`, by itself or under the name `""`. */
function unnamedConfigOf(input: unknown): Record<string, unknown> {
  if (input === undefined || input === null) {
    throw new InvalidInput('vectors', 'give the vectors\' "size" and "distance"');
  }
  const given = asObject(input, 'vectors');
  const named = !Object.hasOwn(given, 'size') && !Object.hasOwn(given, 'distance');
  const vector = named ? asObject(unnamedEntryOf(given), 'vectors') : given;
  refuseVectorSettings(vector, [
    'size',
    'distance',
    'hnsw_config',
    'quantization_config',
    'on_disk',
    'memory',
    'datatype',
    'multivector_config',
  ]);
  return vector;
}

function unnamedEntryOf(vectors: Record<string, unknown>): unknown {
  for (const name of Object.keys(vectors)) {
    if (name !== UNNAMED_VECTOR) throw unknownVectorName('vectors', name);
  }
  return vectors[UNNAMED_VECTOR];
}

function refuseVectorSettings(vector: Record<string, unknown>, known: readonly string[]): void {
  refuseUnknown(vector, known, 'vectors');
  refuseGiven(vector.quantization_config, 'vectors.quantization_config', 'vectors are float32');
  refuseGiven(vector.multivector_config, 'vectors.multivector_config', 'a point has one vector');
  refuseOther(vector.datatype, 'float32', 'vectors.datatype', 'vectors are kept as float32');
}

function parseSize(size: unknown): VectorConfig['dimension'] {
  if (Number.isInteger(size) && Number(size) >= 1 && Number(size) <= LIMITS.dimensionMax) {
    return Number(size);
  }
  throw new InvalidInput('vectors.size', `must be an integer from 1 to ${LIMITS.dimensionMax}`);
}

/** Absent unless it is true, so that older collections and new ones have one form. */
function onDiskOf(input: unknown): Pick<VectorConfig, 'onDisk'> {
  if (input === undefined || input === null || input === false) return {};
  if (input === true) return { onDisk: true };
  throw new InvalidInput('vectors.on_disk', 'must be true or false');
}

function parseDistance(distance: unknown): Distance {
  const known = DISTANCES.find((name) => name === distance);
  if (known !== undefined) return known;
  throw new InvalidInput('vectors.distance', `must be one of ${DISTANCES.join(', ')}`);
}

/** Settings of the graph that are kept, hints about where and with what to build it, and `engine`,
 * which the dialect does not have. */
const HNSW_SETTINGS = [
  'm',
  'ef_construct',
  'full_scan_threshold',
  'max_indexing_threads',
  'on_disk',
  'memory',
  'payload_m',
  'inline_storage',
  'engine',
];

function mergeHnsw(current: HnswConfig, input: unknown, path: string): HnswConfig {
  if (input === undefined || input === null) return current;
  const given = asObject(input, path);
  refuseUnknown(given, HNSW_SETTINGS, path);
  return {
    m: linksOr(current.m, given.m, `${path}.m`),
    efConstruct: integerOr(
      current.efConstruct,
      given.ef_construct,
      EF_CONSTRUCT_RANGE,
      `${path}.ef_construct`,
    ),
    ...engineOr(current.engine, given.engine, `${path}.engine`),
  };
}

function linksOr(current: number, input: unknown, path: string): number {
  if (input === undefined || input === null) return current;
  if (input === 0 || isWithin(input, M_RANGE)) return Number(input);
  const problem = `must be an integer from ${M_RANGE.min} to ${M_RANGE.max}, or 0 for no graph`;
  throw new InvalidInput(path, problem);
}

function engineOr(
  current: Engine | undefined,
  input: unknown,
  path: string,
): Pick<HnswConfig, 'engine'> {
  if (input === undefined || input === null) {
    return current === undefined ? {} : { engine: current };
  }
  const engine = ENGINES.find((name) => name === input);
  if (engine !== undefined) return { engine };
  throw new InvalidInput(path, `must be one of ${ENGINES.join(', ')}`);
}

interface Range {
  min: number;
  max: number;
}

function integerOr(current: number, input: unknown, range: Range, path: string): number {
  if (input === undefined || input === null) return current;
  if (isWithin(input, range)) return Number(input);
  throw new InvalidInput(path, `must be an integer from ${range.min} to ${range.max}`);
}

function isWithin(input: unknown, { min, max }: Range): boolean {
  return Number.isInteger(input) && Number(input) >= min && Number(input) <= max;
}

function asObject(input: unknown, path: string): Record<string, unknown> {
  if (typeof input === 'object' && input !== null && !Array.isArray(input)) {
    return input as Record<string, unknown>;
  }
  throw new InvalidInput(path, 'must be a JSON object');
}

/** Settings of an index that only say where it is kept or for what it is meant. */
const INDEX_HINTS = [
  'is_tenant',
  'is_principal',
  'on_disk',
  'memory',
  'enable_hnsw',
  'lookup',
  'range',
  'prefix',
];
/** Settings of a text index that stand for how texts are split here anyway. */
const TEXT_DEFAULTS: Record<string, unknown> = { tokenizer: 'word', lowercase: true };

/** `"keyword"` or `{"type": "keyword", ...}`. Throws `InvalidInput`. */
export function parseIndexType(input: unknown, path: string): PayloadIndexType {
  if (input === undefined || input === null) {
    throw new InvalidInput(path, `must be one of ${PAYLOAD_INDEX_TYPES.join(', ')}`);
  }
  if (typeof input === 'string') return indexTypeOf(input, path);
  const { type, ...settings } = asObject(input, path);
  const known = indexTypeOf(type, `${path}.type`);
  for (const [name, value] of Object.entries(settings)) {
    if (INDEX_HINTS.includes(name) || value === null || value === false) continue;
    if (known === 'text' && TEXT_DEFAULTS[name] === value) continue;
    throw new InvalidInput(path, `the setting ${JSON.stringify(name.slice(0, 64))} is not known`);
  }
  return known;
}

function indexTypeOf(input: unknown, path: string): PayloadIndexType {
  const known = PAYLOAD_INDEX_TYPES.find((type) => type === input);
  if (known !== undefined) return known;
  throw new InvalidInput(path, `must be one of ${PAYLOAD_INDEX_TYPES.join(', ')}`);
}
