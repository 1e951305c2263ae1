/** Namespaces: subdivisions of a client's data. One comes into being with its first collection. */
import { InvalidInput } from '../base/invalid.ts';
import { LIMITS } from './limits.ts';

/** Where a client's data is when nobody says otherwise. */
export const NAMESPACE_DEFAULT = 'default';

const NAME = /^[a-z0-9][a-z0-9_-]{0,62}$/;
export const NAMESPACE_FORM = 'must be 1 to 63 of a-z, 0-9, - and _, a letter or digit first';

export function isNamespace(text: string): boolean {
  return NAME.test(text);
}

/** The namespaces that a key may touch; null for all. Throws `InvalidInput`. */
export function parseNamespaces(
  names: readonly string[] | null,
  path: string,
): readonly string[] | null {
  if (names === null) return null;
  if (names.length === 0) throw new InvalidInput(path, 'names one at least, or is null for all');
  if (names.length > LIMITS.keyNamespacesMax) {
    throw new InvalidInput(path, `names ${LIMITS.keyNamespacesMax} at most`);
  }
  names.forEach((name, i) => {
    if (isNamespace(name)) return;
    throw new InvalidInput(`${path}[${i}]`, NAMESPACE_FORM);
  });
  return [...new Set(names)];
}

/** Where a key works when its request does not say: in `default`, or else in its first one. */
export function homeOf(namespaces: readonly string[] | null): string {
  if (namespaces === null || namespaces.includes(NAMESPACE_DEFAULT)) return NAMESPACE_DEFAULT;
  return namespaces[0] ?? NAMESPACE_DEFAULT;
}

/** Whether all of `inner` (null: every one) are among `outer`. */
export function areWithin(
  inner: readonly string[] | null,
  outer: readonly string[] | null,
): boolean {
  if (outer === null) return true;
  return inner?.every((name) => outer.includes(name)) ?? false;
}
