/** What several shards reply to one request, until one answer is made of it. */
import { replyTooLarge } from '../../shared/protocol/reply-bound.ts';
import type { RecordList } from './encode-records.ts';

/** Counts the bytes of payloads and vectors. */
export class HeldReplies {
  #bytes = 0;
  readonly #bytesMax: number;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Gives the list back. Throws when all that were taken are too much together. */
  take(list: RecordList): RecordList {
    this.#bytes += list.vectors.byteLength;
    for (const payload of list.records.payloads ?? []) this.#bytes += payload?.length ?? 0;
    if (this.#bytes > this.#bytesMax) throw replyTooLarge();
    return list;
  }
}

/** What the shards looked at for a filter; absent when it was nothing, as in a single reply. */
export function examinedBy(replies: readonly { body: { examined?: number } }[]): {
  examined?: number;
} {
  const examined = replies.reduce((sum, { body }) => sum + (body.examined ?? 0), 0);
  return examined === 0 ? {} : { examined };
}
