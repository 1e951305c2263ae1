/**
 * An index at rest, as sections which `image/` stores without looking inside:
 *
 *   state    u32 little-endian: format, dimension, distance, rowsEnd, m, efConstruct, churn,
 *            liveWords, graphLabels; then the live bitmap's words; then, when there is a graph,
 *            its label table (graph label -> shard label, 0xffffffff = none)
 *   vectors  rowsEnd x dimension float32, little-endian; a row's place is its label
 *   graph    hnswlib's own file; absent when there is no graph
 *
 * Both processors we run on are little-endian, so the arrays are stored as they stand.
 */
import { Bitmap } from '../../../shared/base/bitmap.ts';
import { DISTANCES } from '../../../shared/domain/distance.ts';
import { AppError } from '../../../shared/errors/app-error.ts';
import type { IndexConfig, IndexSection } from '../vector-index.ts';
import { VectorTable } from './vector-table.ts';

const STATE_FORMAT = 1;
const STATE_WORDS = 9;

export interface SavedGraph {
  m: number;
  efConstruct: number;
  churn: number;
  fromGraph: Uint32Array<ArrayBuffer>;
  file: string;
}

/** Sections of a table (and graph) as they are now; the graph's file is written by the caller. */
export function toSections(
  config: IndexConfig,
  table: VectorTable,
  graph?: SavedGraph,
): IndexSection[] {
  const { rowsEnd } = table;
  const live = table.live.words.slice(0, (rowsEnd + 31) >>> 5);
  const fromGraph = graph?.fromGraph ?? new Uint32Array(0);
  const state = new Uint32Array(STATE_WORDS + live.length + fromGraph.length);
  state.set([STATE_FORMAT, config.dimension, DISTANCES.indexOf(config.distance), rowsEnd]);
  state.set([graph?.m ?? 0, graph?.efConstruct ?? 0, graph?.churn ?? 0], 4);
  state.set([live.length, fromGraph.length], 7);
  state.set(live, STATE_WORDS);
  state.set(fromGraph, STATE_WORDS + live.length);
  const sections: IndexSection[] = [
    { name: 'state', byteLength: state.byteLength, pieces: [new Uint8Array(state.buffer)] },
    {
      name: 'vectors',
      byteLength: rowsEnd * config.dimension * 4,
      pieces: table.pieces(rowsEnd),
    },
  ];
  if (graph !== undefined) sections.push({ name: 'graph', file: graph.file });
  return sections;
}

/** The inverse. Throws `AppError('internal')` when the sections are of another kind of index. */
export function fromSections(
  config: IndexConfig,
  sections: readonly IndexSection[],
): { table: VectorTable; graph: SavedGraph | undefined } {
  const bytes = memorySection(sections, 'state');
  if (bytes.byteLength < STATE_WORDS * 4) throw foreign('state is too short');
  const state = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >>> 2);
  const [format, dimension, distance, rowsEnd = 0, m = 0, efConstruct = 0, churn = 0] = state;
  const [liveWords = 0, graphLabels = 0] = state.subarray(7);
  if (format !== STATE_FORMAT) throw foreign('state has another format');
  if (dimension !== config.dimension) throw foreign('another dimension');
  if (DISTANCES[distance ?? -1] !== config.distance) throw foreign('another distance');
  if (state.length !== STATE_WORDS + liveWords + graphLabels) throw foreign('state has no end');
  if (liveWords !== (rowsEnd + 31) >>> 5) throw foreign('live bitmap and rows differ');
  const vectors = memorySection(sections, 'vectors');
  if (vectors.byteLength !== rowsEnd * dimension * 4) throw foreign('vectors and rows differ');
  const live = new Bitmap();
  live.words = state.slice(STATE_WORDS, STATE_WORDS + liveWords);
  const rows = new Float32Array(vectors.buffer, vectors.byteOffset, rowsEnd * dimension);
  const table = VectorTable.adopt(dimension, live, rows);
  const file = sections.find((section) => section.name === 'graph');
  if (file === undefined || !('file' in file)) return { table, graph: undefined };
  const fromGraph = state.slice(STATE_WORDS + liveWords);
  return { table, graph: { m, efConstruct, churn, fromGraph, file: file.file } };
}

/** The bytes of a section, at an address that is a multiple of four. */
function memorySection(sections: readonly IndexSection[], name: string): Uint8Array<ArrayBuffer> {
  const section = sections.find((candidate) => candidate.name === name);
  if (section === undefined || !('pieces' in section)) throw foreign(`no section ${name}`);
  const pieces = [...section.pieces];
  const [only] = pieces;
  if (pieces.length === 1 && only !== undefined && only.byteOffset % 4 === 0) {
    if (only.buffer instanceof ArrayBuffer) return only as Uint8Array<ArrayBuffer>;
  }
  const bytes = new Uint8Array(section.byteLength);
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.byteLength;
  }
  return bytes;
}

function foreign(detail: string): AppError {
  return new AppError('internal', undefined, { detail: `index sections: ${detail}` });
}
