import { ERROR_CODES, type ErrorCode } from './codes.ts';

/**
 * An error that a caller may see. `message` is public; `detail` and `cause` are for the log only.
 */
export class AppError extends Error {
  override readonly name = 'AppError';
  readonly code: ErrorCode;
  readonly detail: string | undefined;
  /** When the request may succeed, if that is known. */
  readonly retryAfterMs: number | undefined;

  constructor(
    code: ErrorCode,
    message?: string,
    more: { detail?: string; cause?: unknown; retryAfterMs?: number } = {},
  ) {
    super(message ?? ERROR_CODES[code].text, more.cause === undefined ? {} : { cause: more.cause });
    this.code = code;
    this.detail = more.detail;
    this.retryAfterMs = more.retryAfterMs;
  }

  get status(): number {
    return ERROR_CODES[this.code].status;
  }

  get retryable(): boolean {
    return ERROR_CODES[this.code].retryable;
  }
}
