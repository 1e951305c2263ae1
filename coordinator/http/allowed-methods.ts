/**
 * Which methods a path has: for the difference between 404 and 405, which the router, that looks
 * up method and path together, does not know. Only asked about requests that found no route.
 */
export class AllowedMethods {
  readonly #routes: { path: RegExp; methods: Set<string> }[] = [];

  /** `url` as the router reads it: `/collections/:collection`. */
  add(method: string, url: string): void {
    const source = url.replaceAll(/:[a-z_]+/g, '[^/]+');
    const path = new RegExp(`^${source}$`);
    const known = this.#routes.find((route) => route.path.source === path.source);
    if (known === undefined) this.#routes.push({ path, methods: new Set([method]) });
    else known.methods.add(method);
  }

  /** Empty when there is no such path. */
  of(path: string): string[] {
    const methods = this.#routes
      .filter((route) => route.path.test(path))
      .flatMap((route) => [...route.methods]);
    return [...new Set(methods)].toSorted();
  }
}

/** What may have become of the path on its way; '' when nothing comes to mind. */
export function hintOf(path: string): string {
  if (path !== '/' && path !== '/collections' && path !== '/collections/') return '';
  return (
    '; for a collection, write /collections/{name}: a name can not be "." or "..", which programs ' +
    'that send requests take out of a path'
  );
}
