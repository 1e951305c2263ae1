/**
 * What is not HTTP, or is too slow or too large in its header: it has no request to answer to, so
 * the answer is written to the connection, which ends with it.
 */
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { Clock } from '../../shared/base/clock.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import { errorText } from './envelope.ts';

/**
 * A client that is still sending reads the answer only when its connection is not reset, so what
 * it sends is read, and thrown away, for this long.
 */
const LINGER_MS = 2_000;

type ClientErrorHandler = (cause: Error, socket: Socket) => void;

/** Called again for each piece that comes after the one that was not HTTP. */
export function brokenRequestHandler(clock: Clock): ClientErrorHandler {
  return (cause, socket) => {
    if (socket.writableEnded) return;
    if (!socket.writable) {
      socket.destroy();
      return;
    }
    socket.end(responseTo(cause));
    const cancel = clock.after(LINGER_MS, () => socket.destroy());
    socket.once('close', cancel);
  };
}

function responseTo(cause: Error): string {
  const error = describeBroken('code' in cause ? cause.code : undefined);
  const body = errorText(error, 0);
  return (
    `HTTP/1.1 ${error.status} ${STATUS_CODES[error.status]}\r\ncontent-type: application/json\r\n` +
    `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`
  );
}

function describeBroken(code: unknown): AppError {
  if (code === 'HPE_HEADER_OVERFLOW') return new AppError('header_too_large');
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return new AppError('request_timeout');
  return new AppError('invalid_argument', 'the request is not valid HTTP');
}
