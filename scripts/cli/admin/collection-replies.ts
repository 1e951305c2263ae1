/** Collections as the admin API answers for them. */
import { number, object, text, textOrNull } from './reply-fields.ts';

export interface CollectionRow {
  collection_id: string;
  mode: string;
  namespace: string;
  name: string;
  shards: number;
  replication_factor: number;
  created_at: string;
  used_at: string;
  /** Null when it is not paused. */
  pause: string | null;
  reason: string | null;
  paused_at: string | null;
}

export function parseCollection(value: unknown): CollectionRow {
  const fields = object(value);
  return {
    collection_id: text(fields, 'collection_id'),
    mode: text(fields, 'mode'),
    namespace: text(fields, 'namespace'),
    name: text(fields, 'name'),
    shards: number(fields, 'shards'),
    replication_factor: number(fields, 'replication_factor'),
    created_at: text(fields, 'created_at'),
    used_at: text(fields, 'used_at'),
    pause: textOrNull(fields, 'pause'),
    reason: textOrNull(fields, 'reason'),
    paused_at: textOrNull(fields, 'paused_at'),
  };
}
