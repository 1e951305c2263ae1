import { AppError } from '../../shared/errors/app-error.ts';

/** The version that a change was made for; absent: whatever it is. */
export interface Expected {
  ifVersion?: number | 'any' | undefined;
  /** The thing must not be there. */
  ifAbsent?: boolean | undefined;
}

/** Two operators change one thing: the second has not seen what the first made of it. */
export function checkVersion(found: { version: number } | undefined, expected: Expected): void {
  const { ifVersion, ifAbsent } = expected;
  const isThere = found !== undefined;
  if (isThere && ifAbsent === true)
    throw new AppError('precondition_failed', 'it is there already');
  if (ifVersion === undefined || (ifVersion === 'any' && isThere)) return;
  if (found?.version !== ifVersion) throw new AppError('precondition_failed');
}
