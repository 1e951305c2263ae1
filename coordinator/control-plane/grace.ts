import { InvalidInput } from '../../shared/base/invalid.ts';

/** Throws `InvalidInput` for a grace out of bounds; one that is absent is in them. */
export function checkGrace(seconds: number | undefined, max: number): void {
  if (seconds === undefined || (seconds >= 0 && seconds <= max)) return;
  throw new InvalidInput('grace_seconds', `must be from 0 to ${max}`);
}
