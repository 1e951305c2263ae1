import { AppError } from '../../shared/errors/app-error.ts';

/** Whether a request ended because its time was over. */
export function isLate(error: unknown): boolean {
  return error instanceof AppError && error.code === 'deadline_exceeded';
}
