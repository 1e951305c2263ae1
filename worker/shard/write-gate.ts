/**
 * Order of a shard's writes. Writes that name their points overlap freely (the writer thread
 * commits them in the order of arrival, many in one transaction). A write that finds its points by
 * a filter must see every write before it and none after, so it runs alone:
 *
 *   shared   s1 s2 s3 |             | s4 s5
 *   exclusive         | e1 ... done |
 */
export class WriteGate {
  /** Settles when the last exclusive write has. Never rejects. */
  #exclusive: Promise<unknown> = Promise.resolve();
  readonly #shared = new Set<Promise<unknown>>();

  /** Runs beside other shared writes, after the exclusive ones that came before. */
  shared<T>(run: () => Promise<T>): Promise<T> {
    const result = this.#exclusive.then(run);
    const settled = result.catch(ignoreHere).finally(() => this.#shared.delete(settled));
    this.#shared.add(settled);
    return result;
  }

  /** Runs when every write before it has settled; writes after it wait. */
  exclusive<T>(run: () => Promise<T>): Promise<T> {
    const result = Promise.all([this.#exclusive, ...this.#shared]).then(run);
    this.#exclusive = result.catch(ignoreHere);
    return result;
  }

  /** Settles when every write that has entered so far has. */
  async idle(): Promise<void> {
    await Promise.all([this.#exclusive, ...this.#shared]);
  }
}

/** The caller of the write gets the failure; the gate only needs to know that it is over. */
function ignoreHere(): undefined {
  return undefined;
}
