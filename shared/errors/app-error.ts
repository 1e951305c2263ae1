import { ERROR_CODES, type ErrorCode } from './codes.ts';

/** From here on it is not the caller's doing. */
const STATUS_OURS = 500;

/**
 * An error that a caller may see. `message` is public; `detail` and `cause` are for the log only.
 *
 * One that is the caller's doing has no stack: nobody looks for its cause here, and taking it is
 * most of what a refusal costs, which matters when somebody sends thousands of bad requests.
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
    const { stackTraceLimit } = Error;
    if (ERROR_CODES[code].status < STATUS_OURS) Error.stackTraceLimit = 0;
    super(message ?? ERROR_CODES[code].text, more.cause === undefined ? {} : { cause: more.cause });
    Error.stackTraceLimit = stackTraceLimit;
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
