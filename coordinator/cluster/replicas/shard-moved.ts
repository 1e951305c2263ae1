import { AppError } from '../../../shared/errors/app-error.ts';

/**
 * Other shards have taken the place of this one, and nothing was changed. The data plane asks those
 * instead, so no caller meets it.
 */
export class ShardMoved extends AppError {
  constructor() {
    super('unavailable', 'the collection has other shards now; nothing was changed, try again');
  }
}
