/** Exit codes, for scripts. */
export const EXIT = {
  done: { code: 0, help: 'it is done' },
  failed: { code: 1, help: 'it failed, on this machine or in the service' },
  usage: { code: 2, help: 'the command line is not right, or the service says so of what it asks' },
  unreachable: { code: 3, help: 'no service answers at the address' },
  notFound: { code: 4, help: 'there is no such client, key, plan, worker or census' },
  refused: { code: 5, help: 'refused: by the token, by a limit, or because things have changed' },
} as const;

/**
 * What stops a command: one sentence for the person at the terminal, and the exit code.
 */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly exitCode: number;

  constructor(message: string, more: { exit?: keyof typeof EXIT; cause?: unknown } = {}) {
    super(message, more.cause === undefined ? {} : { cause: more.cause });
    this.exitCode = EXIT[more.exit ?? 'failed'].code;
  }
}

/** The `code` of a system error (`EADDRINUSE`), or undefined. */
export function systemCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}
