/** One page of a listing in the order of ids. */
export interface Page<T> {
  items: T[];
  /** The id to continue after; null at the end. */
  next: string | null;
}

/** `found` holds up to one item more than `limit`: that one says whether there is a next page. */
export function pageOf<T>(found: T[], limit: number, idOf: (item: T) => string): Page<T> {
  const items = found.slice(0, limit);
  const last = items.at(-1);
  const more = found.length > limit && last !== undefined;
  return { items, next: more ? idOf(last) : null };
}
