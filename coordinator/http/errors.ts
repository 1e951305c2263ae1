/**
 * Whatever a request handler or the HTTP library may throw, as one of the closed table's errors.
 * An error that nobody planned becomes `internal` and keeps its cause for the log; its text never
 * reaches a caller.
 */
import { InvalidInput } from '../../shared/base/invalid.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { ErrorCode } from '../../shared/errors/codes.ts';

/** Errors of the HTTP library that are the caller's doing, with our words for them. */
const LIBRARY_ERRORS: Record<string, [ErrorCode, string?]> = {
  FST_ERR_CTP_BODY_TOO_LARGE: ['body_too_large'],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: [
    'invalid_argument',
    'the body is shorter or longer than its Content-Length says',
  ],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: [
    'unsupported_media_type',
    'the body must be JSON: send the header "Content-Type: application/json"',
  ],
  FST_ERR_CTP_EMPTY_JSON_BODY: ['invalid_json', 'the body is empty; it must be a JSON object'],
  FST_ERR_BAD_URL: ['invalid_argument', 'the path is not a valid URL path'],
  FST_ERR_MAX_PARAM_LENGTH: ['invalid_argument', 'a part of the path is too long'],
  FST_ERR_NOT_FOUND: ['not_found'],
};

export function toAppError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  if (error instanceof InvalidInput) {
    return new AppError('invalid_argument', error.message, { field: error.field });
  }
  if (isHangUp(error)) {
    return new AppError('invalid_argument', 'the connection ended before the body', {
      cause: error,
    });
  }
  const library = LIBRARY_ERRORS[codeOf(error)];
  if (library !== undefined) return new AppError(library[0], library[1], { cause: error });
  return new AppError('internal', undefined, { cause: error });
}

/** Node's error of a request whose client went away; other connections fail in other words. */
function isHangUp(error: unknown): boolean {
  return codeOf(error) === 'ECONNRESET' && error instanceof Error && error.message === 'aborted';
}

function codeOf(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('code' in error)) return '';
  return typeof error.code === 'string' ? error.code : '';
}
