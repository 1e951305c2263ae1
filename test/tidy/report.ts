export interface Problem {
  file: string;
  line?: number;
  /** What is wrong. */
  rule: string;
  /** What to do instead. */
  instead: string;
}

/** Fails with one line a problem: `file:line: rule; instead`. */
export function assertTidy(problems: readonly Problem[]): void {
  const lines = problems.map(({ file, line, rule, instead }) => {
    return `${file}${line === undefined ? '' : `:${line}`}: ${rule}; ${instead}`;
  });
  if (lines.length > 0) throw new Error(`${lines.length} to put right\n${lines.join('\n')}\n`);
}
