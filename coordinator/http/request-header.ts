/** What is wrong with a request by its header alone, and the key that it shows. */
import type { IncomingMessage } from 'node:http';
import { isNamespace, NAMESPACE_FORM } from '../../shared/domain/namespace.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { Principal } from '../auth/principal.ts';

/** Throws `invalid_argument` or `unsupported_media_type`. */
export function checkHeader(request: IncomingMessage): void {
  const { headers } = request;
  if (headers.host === undefined && request.httpVersion !== '1.0') {
    throw new AppError('invalid_argument', 'the header Host is missing');
  }
  for (const name of ['Authorization', 'api-key', 'Host']) {
    if (!isTwice(request.rawHeaders, name.toLowerCase())) continue;
    throw new AppError('invalid_argument', `the header ${name} is there more than once`);
  }
  if (headers.expect !== undefined && headers.expect.toLowerCase() !== '100-continue') {
    throw new AppError('invalid_argument', 'the header Expect can only be "100-continue"');
  }
  checkCharset(headers['content-type']);
}

/** Node keeps the first of two such headers, or joins them; either would be a guess. */
function isTwice(rawHeaders: readonly string[], name: string): boolean {
  let count = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const header = rawHeaders[i];
    if (header?.length === name.length && header.toLowerCase() === name) count += 1;
  }
  return count > 1;
}

const CHARSET = /;\s*charset\s*=\s*"?([^\s";]*)/i;
/** ASCII is the same bytes. */
const CHARSETS = new Set(['utf-8', 'utf8', 'us-ascii']);

function checkCharset(contentType: string | undefined): void {
  if (contentType === undefined || !contentType.includes(';')) return;
  const charset = CHARSET.exec(contentType)?.[1];
  if (charset === undefined || CHARSETS.has(charset.toLowerCase())) return;
  throw new AppError('unsupported_media_type', 'the body must be in UTF-8: leave the charset out');
}

const BEARER = /^bearer +(\S+)$/i;

/** Throws `unauthenticated` when there is none. An empty header is none. */
export function presentedKey(request: IncomingMessage): string {
  const { 'api-key': key, authorization } = request.headers;
  if (typeof key === 'string' && key !== '') return key;
  const bearer = BEARER.exec(authorization ?? '')?.[1];
  if (bearer !== undefined) return bearer;
  throw new AppError(
    'unauthenticated',
    'an API key is needed: send the header "api-key: KEY" or "Authorization: Bearer KEY"',
  );
}

/**
 * The principal in the namespace that the request names, if its key may touch that one. The key
 * alone says whose data a request is about, so headers by which other systems choose a tenant are
 * never obeyed against it: one that disagrees is a mistake that its sender should hear of. Throws
 * `invalid_argument`.
 */
export function inNamespace({ headers }: IncomingMessage, principal: Principal): Principal {
  const { 'x-tenant-id': tenant, 'x-namespace': namespace } = headers;
  if (tenant !== undefined && tenant !== principal.clientId) throw disagrees('X-Tenant-Id');
  if (namespace === undefined || namespace === principal.namespace) return principal;
  const mayTouch = principal.namespaces?.includes(namespace as string) ?? true;
  if (!mayTouch || typeof namespace !== 'string') throw disagrees('X-Namespace');
  if (isNamespace(namespace)) return { ...principal, namespace };
  throw new AppError('invalid_argument', `the header X-Namespace ${NAMESPACE_FORM}`);
}

function disagrees(name: string): AppError {
  const text = `the header ${name} does not agree with the key, which alone decides: leave it out`;
  return new AppError('invalid_argument', text);
}
