/** Lines about searches, plain and filtered, of the kernel beside hnswlib's. */
import { Bitmap } from '../../shared/base/bitmap.ts';
import { SeededRandom } from '../../shared/base/random.ts';
import type { VectorIndex } from '../../worker/index/vector-index.ts';
import type { IndexData } from './index-data.ts';
import { type Measured, measure, type SearchCase, truthOf } from './index-measures.ts';
import type { Line, Target } from './kernel-lines.ts';

const EFS = [
  ...[16, 18, 20, 22, 24, 26, 28, 30, 32, 36, 40, 44, 48, 56, 64, 72, 80, 88, 96, 112, 128],
  ...[144, 160, 176, 192, 208, 224, 240, 256, 272, 288, 320, 352, 384, 448, 512],
];
const RECALLS = [0.95, 0.99];
const SHARES = [0.5, 0.1, 0.01, 0.001];
const ROUNDS = 5;

export interface Pair {
  kernel: VectorIndex;
  hnswlib: VectorIndex;
}

/** Each index with the least `ef` that finds enough, by turns; then filters, at the recall that
 * hnswlib is measured at without one. */
export function searchLines(pair: Pair, data: IndexData, target: Target): Line[] {
  const truth = truthOf(pair.kernel, data);
  const plain = RECALLS.map((recall) => atRecall(pair, data, { truth }, recall));
  const unfilteredUs = plain[0]?.theirs.usPerQuery ?? 0;
  return [
    ...plain.map((found, at) => ({
      measure: `search, recall >= ${RECALLS[at]}`,
      kernel: found.kernel,
      hnswlib: found.hnswlib,
      figure: `${(found.theirs.usPerQuery / found.ours.usPerQuery).toFixed(2)} x`,
      target: `>= ${target.searchRatio} x`,
    })),
    ...SHARES.map((share) => filterLine(pair, data, share, unfilteredUs)),
  ];
}

function filterLine(pair: Pair, data: IndexData, share: number, unfilteredUs: number): Line {
  const random = new SeededRandom(5);
  const allowed = new Bitmap(data.count);
  for (let row = 0; row < data.count; row += 1) if (random.next() < share) allowed.add(row);
  const truth = truthOf(pair.kernel, data, allowed);
  const found = atRecall(pair, data, { truth, allowed }, RECALLS[0] as number);
  return {
    measure: `filter, ${100 * share} % match`,
    kernel: found.kernel,
    hnswlib: found.hnswlib,
    figure: `${(found.ours.usPerQuery / unfilteredUs).toFixed(2)} of hnswlib unfiltered`,
    target: share === 0.5 ? '< 1, recall >= 0.95' : '< 1, recall 1 if scanned',
  };
}

type Wanted = Pick<SearchCase, 'truth' | 'allowed'>;

function atRecall({ kernel, hnswlib }: Pair, data: IndexData, wanted: Wanted, recall: number) {
  const cases = [kernel, hnswlib].map((index) => {
    return { index, ef: leastEf(index, data, wanted, recall), ...wanted };
  });
  const [ours, theirs] = measure(cases, data, ROUNDS) as [Measured, Measured];
  const [our, their] = cases as [SearchCase, SearchCase];
  return { ours, theirs, kernel: show(our, ours), hnswlib: show(their, theirs) };
}

function leastEf(index: VectorIndex, data: IndexData, wanted: Wanted, recall: number): number {
  const recallAt = (ef: number) => measure([{ index, ef, ...wanted }], data, 1)[0]?.recall ?? 0;
  return EFS.find((ef) => recallAt(ef) >= recall) ?? (EFS.at(-1) as number);
}

function show({ ef }: SearchCase, { usPerQuery, recall }: Measured): string {
  return `${usPerQuery.toFixed(0)} us, ${recall.toFixed(3)}, ef ${ef}`;
}
