/** Settings that a process can not start with: all problems at once, never a secret's value. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(['the settings are not valid:', ...problems].join('\n  - '));
    this.problems = problems;
  }
}
