/**
 * JSON bodies: bounded by the server before a byte is kept, scanned for depth before the parse
 * (V8's parser recurses), exact for 64-bit integers, and parsed in slices when they are large. The
 * vector of a query becomes float32 in the same pass. Any other content type is refused.
 */
import { createHash } from 'node:crypto';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Clock } from '../../shared/base/clock.ts';
import { InvalidInput } from '../../shared/base/invalid.ts';
import { Slices } from '../../shared/base/slices.ts';
import { parseJsonBytes } from '../../shared/domain/json.ts';
import { parseWithFloats } from '../../shared/domain/json-floats.ts';
import { parseJsonPieces } from '../../shared/domain/json-pieces.ts';
import type { JsonValue } from '../../shared/domain/point.ts';
import { AppError } from '../../shared/errors/app-error.ts';

/** Parsing this much takes about a millisecond. */
const WHOLE_BYTES_MAX = 128 * 1024;
/** Hashing this much takes some milliseconds. */
const HASHED_BYTES = 2 ** 20;

export interface BodyOptions {
  clock: Clock;
  /** For bodies that are parsed in slices: called before the first one; what it returns is called
   * after the last. */
  enter(request: FastifyRequest): () => void;
  /** The field of the body that is mostly an array of numbers, if there is one. */
  floatsField(request: FastifyRequest): string | undefined;
  /** Takes the SHA-256 of the body's bytes; undefined when nobody wants it. */
  digestTaker(request: FastifyRequest): ((digest: Buffer) => void) | undefined;
}

/** Makes `application/json` the only content type that `server` reads. */
export function addJsonBodyParser(server: FastifyInstance, options?: BodyOptions): void {
  server.removeAllContentTypeParsers();
  server.addContentTypeParser<Buffer>(
    'application/json',
    { parseAs: 'buffer' },
    (request, bytes, done) => {
      if (options !== undefined && bytes.length > WHOLE_BYTES_MAX) {
        parseLarge(request, bytes, options).then((body) => done(null, body), done);
        return;
      }
      try {
        checkEncoding(request.headers['content-encoding']);
        // Some clients announce JSON whether they send any or not.
        if (bytes.length === 0 && wantsNone(request)) done(null, null);
        else {
          options?.digestTaker(request)?.(createHash('sha256').update(bytes).digest());
          done(null, parseBody(bytes, options?.floatsField(request)));
        }
      } catch (error) {
        done(error as Error);
      }
    },
  );
}

function wantsNone({ method, routeOptions }: FastifyRequest): boolean {
  return method === 'DELETE' || routeOptions.schema?.body === undefined;
}

function checkEncoding(encoding: string | undefined): void {
  if (encoding === undefined || encoding === 'identity') return;
  throw new AppError('unsupported_media_type', 'the body must not be compressed');
}

function parseBody(bytes: Buffer, floatsField: string | undefined): unknown {
  if (bytes.length === 0) {
    throw new AppError('invalid_json', 'the body is empty; it must be a JSON object');
  }
  try {
    const body = floatsField === undefined ? undefined : parseWithFloats(bytes, floatsField);
    return body ?? parseJsonBytes(bytes);
  } catch (error) {
    throw asInvalidJson(error);
  }
}

async function parseLarge(
  request: FastifyRequest,
  bytes: Buffer,
  { clock, enter, digestTaker }: BodyOptions,
): Promise<JsonValue> {
  checkEncoding(request.headers['content-encoding']);
  const leave = enter(request);
  try {
    const slices = new Slices(clock);
    const take = digestTaker(request);
    if (take !== undefined) take(await digestOf(bytes, slices));
    const pieces = parseJsonPieces(bytes);
    for (;;) {
      const piece = pieces.next();
      if (piece.done === true) return piece.value;
      if (slices.due) await slices.rest();
    }
  } catch (error) {
    throw asInvalidJson(error);
  } finally {
    leave();
  }
}

async function digestOf(bytes: Buffer, slices: Slices): Promise<Buffer> {
  const hash = createHash('sha256');
  for (let at = 0; at < bytes.length; at += HASHED_BYTES) {
    hash.update(bytes.subarray(at, at + HASHED_BYTES));
    if (slices.due) await slices.rest();
  }
  return hash.digest();
}

function asInvalidJson(error: unknown): unknown {
  return error instanceof InvalidInput ? new AppError('invalid_json', error.message) : error;
}
