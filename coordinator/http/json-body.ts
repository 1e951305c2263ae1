/**
 * JSON bodies: bounded by the server before a byte is kept, scanned for depth before the parse
 * (V8's parser recurses), and exact for 64-bit integers. Any other content type is refused.
 */
import type { FastifyInstance } from 'fastify';
import { InvalidInput } from '../../shared/base/invalid.ts';
import { parseJsonBytes } from '../../shared/domain/json.ts';
import type { JsonValue } from '../../shared/domain/point.ts';
import { AppError } from '../../shared/errors/app-error.ts';

/** Makes `application/json` the only content type that `server` reads. */
export function addJsonBodyParser(server: FastifyInstance): void {
  server.removeAllContentTypeParsers();
  server.addContentTypeParser<Buffer>(
    'application/json',
    { parseAs: 'buffer' },
    (request, bytes, done) => {
      try {
        checkEncoding(request.headers['content-encoding']);
        // Some clients announce JSON on a DELETE and send none.
        done(null, bytes.length === 0 && request.method === 'DELETE' ? null : parseBody(bytes));
      } catch (error) {
        done(error as Error);
      }
    },
  );
}

function checkEncoding(encoding: string | undefined): void {
  if (encoding === undefined || encoding === 'identity') return;
  throw new AppError('unsupported_media_type', 'the body must not be compressed');
}

function parseBody(bytes: Buffer): JsonValue {
  if (bytes.length === 0) {
    throw new AppError('invalid_json', 'the body is empty; it must be a JSON object');
  }
  try {
    return parseJsonBytes(bytes);
  } catch (error) {
    if (!(error instanceof InvalidInput)) throw error;
    throw new AppError('invalid_json', error.message);
  }
}
