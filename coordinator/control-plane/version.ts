import { AppError } from '../../shared/errors/app-error.ts';

/** The version that a change was made for; absent: whatever it is. */
export interface Expected {
  ifVersion?: number | undefined;
}

/** Two operators change one thing: the second has not seen what the first made of it. */
export function checkVersion(found: { version: number } | undefined, expected: Expected): void {
  const { ifVersion } = expected;
  if (ifVersion !== undefined && found?.version !== ifVersion) {
    throw new AppError('precondition_failed');
  }
}
