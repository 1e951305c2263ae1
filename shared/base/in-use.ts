/**
 * A folder or a database that one process at a time may have, and another has. `message` is the whole
 * sentence for whoever started the second one.
 */
export class InUse extends Error {
  override readonly name = 'InUse';
  /** What is in use, as it was named. */
  readonly path: string;

  constructor(path: string, holder: string, more: { cause?: unknown } = {}) {
    super(`${path} is in use by another ${holder}`, more);
    this.path = path;
  }
}
