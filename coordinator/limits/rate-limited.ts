import { AppError } from '../../shared/errors/app-error.ts';
import type { Rate, RateDecision } from './rate-limiter.ts';

/** One of the rates that a request is held against, after it was. */
export interface RateState extends RateDecision {
  /** Whose requests, or what they cost. */
  of: 'client' | 'key' | 'work';
  rate: Rate;
}

/** A request that one of its rates refused; whoever answers it can tell what is left. */
export class RateLimited extends AppError {
  readonly state: RateState;

  constructor(text: string, state: RateState) {
    super('rate_limited', text, { retryAfterMs: state.retryAfterMs });
    this.state = state;
  }
}
