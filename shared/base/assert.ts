/**
 * Assertions are for our own mistakes; typed errors (`shared/errors`) are for the caller's.
 * A failed assertion means that the program is wrong, so it names the broken expectation only.
 */

export class AssertionError extends Error {
  override readonly name = 'AssertionError';
}

/** Throws `AssertionError` unless `condition` holds. */
export function assert(condition: unknown, expectation: string): asserts condition {
  if (!condition) throw new AssertionError(expectation);
}

/** The value, which the caller knows to be there; throws `AssertionError` when it is not. */
export function must<T>(value: T | null | undefined, expectation: string): T {
  if (value === null || value === undefined) throw new AssertionError(expectation);
  return value;
}

/** Ends an exhaustive switch: the compiler refuses the call while a case is unhandled. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable case: ${String(value)}`);
}
