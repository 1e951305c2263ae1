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
  /** What in the request is wrong, if it is one thing. */
  readonly field: string | undefined;

  constructor(
    code: ErrorCode,
    message?: string,
    more: { detail?: string; cause?: unknown; retryAfterMs?: number; field?: string } = {},
  ) {
    super(message ?? ERROR_CODES[code].text, more.cause === undefined ? {} : { cause: more.cause });
    this.code = code;
    this.detail = more.detail;
    this.retryAfterMs = more.retryAfterMs;
    this.field = more.field;
  }

  get status(): number {
    return ERROR_CODES[this.code].status;
  }

  get retryable(): boolean {
    return ERROR_CODES[this.code].retryable;
  }
}
