/**
 * A graph together with what it still lacks: every live label of the shard is either in the graph
 * or in `todo`, never in both.
 */
import { assert } from '../../../shared/base/assert.ts';
import { Bitmap } from '../../../shared/base/bitmap.ts';
import type { HnswlibGraph } from './hnswlib-index.ts';
import type { VectorTable } from './vector-table.ts';

export class GraphBuild {
  readonly graph: HnswlibGraph;
  readonly todo: Bitmap;
  #todoCount: number;
  /** No word of `todo` below this one has a bit. */
  #firstWord = 0;

  constructor(graph: HnswlibGraph, todo: Bitmap = new Bitmap()) {
    this.graph = graph;
    this.todo = todo;
    this.#todoCount = todo.count();
  }

  get todoCount(): number {
    return this.#todoCount;
  }

  /** The label has a new vector. */
  add(label: number): void {
    if (this.graph.has(label)) this.graph.remove(label);
    if (this.todo.has(label)) return;
    this.todo.add(label);
    this.#todoCount += 1;
    this.#firstWord = Math.min(this.#firstWord, label >>> 5);
  }

  remove(label: number): void {
    if (this.graph.has(label)) this.graph.remove(label);
    if (!this.todo.has(label)) return;
    this.todo.delete(label);
    this.#todoCount -= 1;
  }

  /** Links one label; there must be one. */
  linkNext(table: VectorTable): void {
    const label = this.#lowestTodo();
    this.graph.add(label, table.row(label));
    this.todo.delete(label);
    this.#todoCount -= 1;
  }

  #lowestTodo(): number {
    const { words } = this.todo;
    while (words[this.#firstWord] === 0) this.#firstWord += 1;
    const bits = words[this.#firstWord];
    assert(bits !== undefined, 'something is left to link');
    return (this.#firstWord << 5) + 31 - Math.clz32(bits & -bits);
  }
}
