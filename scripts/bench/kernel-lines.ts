/** One line of the benchmark of the kernel: a figure beside what it should be. */
export type Line = {
  measure: string;
  kernel: string;
  hnswlib: string;
  figure: string;
  target: string;
};

/** What is aimed at, by dimension. */
export interface Target {
  searchRatio: number;
  buildRatio: number;
  bytesOverRaw: number | undefined;
  bytesOnDisk: number | undefined;
  openMs: number | undefined;
}

const NONE = { bytesOverRaw: undefined, bytesOnDisk: undefined, openMs: undefined };

export function targetOf(dimension: number): Target {
  if (dimension <= 128) return { ...NONE, searchRatio: 2, buildRatio: 2, bytesOverRaw: 370 };
  if (dimension < 768) return { ...NONE, searchRatio: 2.5, buildRatio: 2 };
  const bytes = { bytesOverRaw: 1_020, bytesOnDisk: 1_020 };
  return { ...bytes, searchRatio: 4, buildRatio: 2.5, openMs: 500 };
}

/** A line about the kernel alone. */
export function kernelLine(measure: string, kernel: string, figure: string, target = ''): Line {
  return { measure, kernel, hnswlib: '', figure, target };
}

export function atMost(bound: number | undefined): string {
  return bound === undefined ? '' : `<= ${bound}`;
}
