/**
 * What the outside got wrong, said by code that knows nothing of HTTP or of error codes. The edge
 * turns it into a 4xx. `message` is a public sentence that says what to change; `path` names the
 * offending place in the caller's own document (`points[3].vector`).
 */
export class InvalidInput extends Error {
  override readonly name = 'InvalidInput';
  readonly path: string;
  /** The place for programs: where one field of `path` is missing or unknown, that field. */
  readonly field: string;

  constructor(path: string, problem: string, field = path) {
    super(path === '' ? problem : `${path}: ${problem}`);
    this.path = path;
    this.field = field;
  }
}
