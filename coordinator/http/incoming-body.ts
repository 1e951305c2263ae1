/**
 * A request's body on its way in: counted as it comes, and cut off when it hardly comes at all.
 * Whoever holds a body half sent holds a place and memory, so it has to get on with it.
 */
import type { IncomingMessage } from 'node:http';
import { type Readable, Transform, type TransformCallback } from 'node:stream';
import type { Clock } from '../../shared/base/clock.ts';

const PERIOD_MS = 5_000;
/** What each period has to bring of a body that is not at its end; 0.1 Mbit/s. */
const PERIOD_BYTES_MIN = 64 * 1024;
/** One slow period is forgiven: it may be this process that did not come to read. */
const SLOW_PERIODS_MAX = 2;

/**
 * Calls `tooSlow` when the body comes slower than it may. The function that it returns ends the
 * watch; it has to be called when the request is over.
 */
export function watchPace(raw: IncomingMessage, clock: Clock, tooSlow: () => void): () => void {
  let seenBytes = raw.socket.bytesRead;
  let slowPeriods = 0;
  const look = (): void => {
    if (raw.complete || raw.destroyed) return;
    const bytes = raw.socket.bytesRead;
    slowPeriods = bytes - seenBytes < PERIOD_BYTES_MIN ? slowPeriods + 1 : 0;
    seenBytes = bytes;
    if (slowPeriods === SLOW_PERIODS_MAX) tooSlow();
    else cancel = clock.after(PERIOD_MS, look);
  };
  let cancel = clock.after(PERIOD_MS, look);
  return () => cancel();
}

/** Passes a body on and tells of each piece first; `receive` may throw, which ends the stream. */
export class CountedBody extends Transform {
  readonly #receive: (bytes: number) => void;

  constructor(body: Readable, receive: (bytes: number) => void) {
    super();
    this.#receive = receive;
    // A body that nobody reads may fail too, and then nobody wants to know.
    this.on('error', () => undefined);
    // A sender that is in the middle of its body reads the answer only after that.
    this.once('close', () => body.unpipe(this).resume());
    body.once('error', (error) => this.destroy(error));
    body.pipe(this);
  }

  override _transform(chunk: Buffer, _encoding: string, done: TransformCallback): void {
    try {
      this.#receive(chunk.length);
    } catch (error) {
      done(error as Error);
      return;
    }
    done(null, chunk);
  }
}
