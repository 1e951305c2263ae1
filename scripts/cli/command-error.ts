/**
 * What stops a command: one sentence for the person at the terminal, and the exit code.
 */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly exitCode: number;

  constructor(message: string, more: { exitCode?: number; cause?: unknown } = {}) {
    super(message, more.cause === undefined ? {} : { cause: more.cause });
    this.exitCode = more.exitCode ?? 1;
  }
}

/** The `code` of a system error (`EADDRINUSE`), or undefined. */
export function systemCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}
