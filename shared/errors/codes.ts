/**
 * Every error that a caller can meet: code, HTTP status, whether the same request may succeed
 * when it is repeated, and the public text when the place of failure has no better one. The table
 * is closed: documents and wire are tested against it.
 */

interface ErrorSpec {
  status:
    | 400
    | 401
    | 402
    | 403
    | 404
    | 405
    | 408
    | 409
    | 412
    | 413
    | 415
    | 429
    | 431
    | 500
    | 501
    | 503
    | 504
    | 507;
  retryable: boolean;
  text: string;
}

export const ERROR_CODES = {
  invalid_argument: { status: 400, retryable: false, text: 'the request is not valid' },
  invalid_json: { status: 400, retryable: false, text: 'the body is not valid JSON' },
  unauthenticated: { status: 401, retryable: false, text: 'a valid API key is needed' },
  budget_spent: {
    status: 402,
    retryable: false,
    text: 'the budget of this month is spent: raise it, or wait for the next month',
  },
  forbidden: { status: 403, retryable: false, text: 'the key may not do this' },
  paused: { status: 403, retryable: false, text: 'paused by an operator; the data is kept' },
  quota_exceeded: { status: 403, retryable: false, text: 'the plan does not allow more' },
  not_found: { status: 404, retryable: false, text: 'not found' },
  collection_not_found: { status: 404, retryable: false, text: 'the collection does not exist' },
  point_not_found: { status: 404, retryable: false, text: 'the point does not exist' },
  method_not_allowed: { status: 405, retryable: false, text: 'method not allowed' },
  request_timeout: { status: 408, retryable: true, text: 'the request came too slowly' },
  already_exists: { status: 409, retryable: false, text: 'it already exists' },
  conflict: { status: 409, retryable: false, text: 'it does not fit the state of things' },
  precondition_failed: {
    status: 412,
    retryable: false,
    text: 'it has been changed since it was read: read it again',
  },
  body_too_large: { status: 413, retryable: false, text: 'the body is too large' },
  unsupported_media_type: { status: 415, retryable: false, text: 'the body must be JSON' },
  too_many_requests: { status: 429, retryable: true, text: 'too many requests at once' },
  rate_limited: { status: 429, retryable: true, text: 'the rate limit of the plan is reached' },
  header_too_large: { status: 431, retryable: false, text: 'the header is too large' },
  internal: { status: 500, retryable: false, text: 'an internal error; it has been logged' },
  not_supported: { status: 501, retryable: false, text: 'not supported' },
  unavailable: { status: 503, retryable: true, text: 'the data is not available at the moment' },
  shard_quarantined: {
    status: 503,
    retryable: true,
    text: 'the data can not be opened, and is set aside until an operator has seen to it',
  },
  shard_damaged: {
    status: 503,
    retryable: true,
    text: 'the data on the disk is not what was written, and is set aside until it is restored',
  },
  waking: {
    status: 503,
    retryable: true,
    text: 'the data was paused and is being brought back; repeat the request in a moment',
  },
  overloaded: { status: 503, retryable: true, text: 'the service is overloaded' },
  write_outcome_unknown: {
    status: 503,
    retryable: true,
    text: 'no worker said what became of the write; it may or may not have happened: repeat it',
  },
  stale_write: {
    status: 503,
    retryable: true,
    text: 'a newer write came first and nothing was changed: repeat it',
  },
  shutting_down: { status: 503, retryable: true, text: 'the service is shutting down' },
  deadline_exceeded: { status: 504, retryable: true, text: 'the deadline passed' },
  insufficient_storage: {
    status: 507,
    retryable: true,
    text: 'the disk is full; deletes and reads go on',
  },
} as const satisfies Record<string, ErrorSpec>;

export type ErrorCode = keyof typeof ERROR_CODES;

export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(ERROR_CODES, text);
}
