/** Versions of things as ETags, and the precondition that a change may name. */
import type { FastifyRequest } from 'fastify';
import { InvalidInput } from '../../shared/base/invalid.ts';

const ETAG = /^"([1-9][0-9]{0,14})"$/;

export function etagOf(version: unknown): string {
  return `"${version}"`;
}

/** The version in `If-Match`; undefined when there is none, or any will do. */
export function ifVersion(request: FastifyRequest): number | undefined {
  const text = request.headers['if-match'];
  if (text === undefined || text === '*') return undefined;
  const version = ETAG.exec(text)?.[1];
  if (version === undefined) {
    throw new InvalidInput('If-Match', 'must be one ETag as this API sends it, for example "3"');
  }
  return Number(version);
}
