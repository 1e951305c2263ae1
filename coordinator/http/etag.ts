/** Versions of things as ETags, and the precondition that a change may name. */
import type { FastifyRequest } from 'fastify';
import { InvalidInput } from '../../shared/base/invalid.ts';

const ETAG = /^"([1-9][0-9]{0,14})"$/;

export function etagOf(version: unknown): string {
  return `"${version}"`;
}

/** Whether `If-None-Match` says that the thing must not be there. */
export function ifAbsent(request: FastifyRequest): boolean {
  const text = request.headers['if-none-match'];
  if (text === undefined || text === '*') return text !== undefined;
  throw new InvalidInput('If-None-Match', 'can only be *');
}

/** The version in `If-Match`, or that there must be one; undefined when there is none. */
export function ifVersion(request: FastifyRequest): number | 'any' | undefined {
  const text = request.headers['if-match'];
  if (text === undefined) return undefined;
  if (text === '*') return 'any';
  const version = ETAG.exec(text)?.[1];
  if (version === undefined) {
    throw new InvalidInput('If-Match', 'must be one ETag as this API sends it, for example "3"');
  }
  return Number(version);
}
