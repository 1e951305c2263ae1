/**
 * The body of an error frame: what the worker wants the caller to see. Details stay in the
 * worker's log.
 */
import Type from 'typebox';
import { AppError } from '../errors/app-error.ts';
import { isErrorCode } from '../errors/codes.ts';
import { decode, encodeBody } from './body.ts';
import { ProtocolError } from './protocol-error.ts';
import { closed } from './schema.ts';

const FAILURE_TEXT_MAX = 4_096;

export const FailureSchema = closed({
  code: Type.String({ maxLength: 64 }),
  message: Type.String({ maxLength: FAILURE_TEXT_MAX }),
});

export function encodeFailure(error: AppError): Uint8Array {
  return encodeBody({ code: error.code, message: error.message.slice(0, FAILURE_TEXT_MAX) });
}

/** The error that the worker sent. Throws `ProtocolError` for anything else. */
export function decodeFailure(structure: Uint8Array): AppError {
  const { code, message } = decode(FailureSchema, structure) as { code: string; message: string };
  if (!isErrorCode(code)) throw new ProtocolError('unknown error code');
  return new AppError(code, message);
}
