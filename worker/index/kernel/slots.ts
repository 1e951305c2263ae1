/**
 * Which slot of a memory holds which label, and what is to be done with the others. Labels are the
 * shard's, slots are the memory's. A new vector takes a free slot or the next one and is pending; a
 * replaced or removed one that is in the graph stays there, dead, until a pass has mended every
 * list that leads to it (`wasm/repair.ts`).
 *
 *   slots  [ linked, dead, free, reused ... | in a job ... | tail: pending, free ... ]
 *          0                              scanAt         tailAt                   slots
 *
 * Walks answer for what is linked; the reused slots and those from `scanAt` on are scanned. There
 * is one job at a time, and only when it has come back are its points taken for linked and its
 * condemned slots freed, so nothing a job may still look at is ever given to another point.
 */
import { assert, must } from '../../../shared/base/assert.ts';
import { Bitmap } from '../../../shared/base/bitmap.ts';
import type { LinkJob } from './job.ts';
import { NONE, SLOT_LIST_MAX } from './layout.ts';
import type { KernelMemory } from './memory.ts';
import { LabelMap } from './tables.ts';

/** Pending points in slots that were free before; more are appended. */
const REUSED_MAX = SLOT_LIST_MAX;
/** Nodes looked at, or copied, in the time in which one is linked. */
export const NODES_PER_LINK = 16;
const STATE_FREE = 0;
const STATE_PENDING = 1;
const STATE_LINKED = 2;
const STATE_DEAD = 3;
/** What `remove` and `settle` of the kernel say of a slot. */
const SLOT_FREE = 0;
const SLOT_DEAD = 1;

interface Pass {
  condemned: number[];
  nextSlot: number;
}

export class KernelSlots {
  readonly memory: KernelMemory;
  /** The labels of the points. */
  readonly live = new Bitmap();
  readonly #labels: LabelMap;
  #count = 0;
  /** Points that are not linked. */
  #pending = 0;
  readonly #free: number[] = [];
  /** Points below the tail that are not linked. */
  readonly #reused = new Set<number>();
  #scanAt = 0;
  #tailAt = 0;
  #dead: number[] = [];
  #pass: Pass | undefined;
  #job: LinkJob | undefined;
  #entered: Set<number> | undefined;

  /** Takes over the points that an adopted memory has. */
  constructor(memory: KernelMemory) {
    this.memory = memory;
    this.#labels = new LabelMap(memory.labelMap);
    if (memory.slots > 0) this.#restore();
  }

  get count(): number {
    return this.#count;
  }

  get pending(): number {
    return this.#pending;
  }

  get deadCount(): number {
    return this.#dead.length;
  }

  /** Nodes that a walk may meet. */
  get nodeCount(): number {
    const condemned = this.#pass?.condemned.length ?? 0;
    return this.#count - this.#pending + this.#dead.length + condemned;
  }

  get freeCount(): number {
    return this.#free.length;
  }

  /** Free slots that new points will surely get. */
  get usableCount(): number {
    return Math.min(this.#free.length, REUSED_MAX - this.#reused.size);
  }

  get inJob(): boolean {
    return this.#job !== undefined;
  }

  get passing(): boolean {
    return this.#pass !== undefined;
  }

  /** First slot of those that a search has to scan. */
  get scanAt(): number {
    return this.#scanAt;
  }

  /** Slots below `scanAt` that have to be scanned, too. */
  get reused(): ReadonlySet<number> {
    return this.#reused;
  }

  get byteLength(): number {
    return this.#labels.byteLength + this.live.words.byteLength;
  }

  slotOf(label: number): number {
    return this.#labels.slotOf(label);
  }

  /** Adds or replaces. */
  put(label: number, vector: Float32Array): void {
    this.memory.put(this.#makePending(label), label, vector);
  }

  /** The same for a point of another memory with the same codes. */
  putCopy(label: number, from: KernelSlots): void {
    this.memory.putCopy(this.#makePending(label), label, from.memory, from.slotOf(label));
  }

  /** The slot for a point that is to be linked; an older one of the label is released. */
  #makePending(label: number): number {
    const slot = this.#takeSlot();
    const old = this.slotOf(label);
    if (old !== NONE) this.#release(old);
    this.#entered?.add(label);
    this.#pending += 1;
    if (slot < this.#tailAt) this.#reused.add(slot);
    this.#enter(label, slot);
    return slot;
  }

  remove(label: number): void {
    const slot = this.slotOf(label);
    if (slot === NONE) return;
    this.#release(slot);
    this.#labels.set(label, NONE);
    this.live.delete(label);
    this.#count -= 1;
  }

  /** The points in the graph, by ascending slot. */
  placed(): { slots: number[]; labels: number[] } {
    const { kernel, slots: end } = this.memory;
    const slots: number[] = [];
    const labels: number[] = [];
    for (let slot = 0; slot < end; slot += 1) {
      const label = kernel.labelOf(slot) >>> 0;
      if (label === NONE || kernel.stateOf(slot) !== STATE_LINKED) continue;
      slots.push(slot);
      labels.push(label);
    }
    return { slots, labels };
  }

  /** The labels that are put from now on, new ones and others: a label may be removed and used again
   * for another vector. */
  watchEntered(): ReadonlySet<number> {
    this.#entered = new Set();
    return this.#entered;
  }

  /** Condemns what is dead; the jobs that follow take it out of the graph. */
  startPass(): void {
    assert(this.#pass === undefined && this.#job === undefined, 'one pass, between jobs');
    const { kernel } = this.memory;
    for (const slot of this.#dead) kernel.setCondemned(slot, 1);
    this.#pass = { condemned: this.#dead, nextSlot: 0 };
    this.#dead = [];
  }

  /** The next job of linking or of the pass; give it back with `finish`. */
  takeJob(points: number): LinkJob | undefined {
    assert(this.#job === undefined, 'one job at a time');
    this.#job =
      this.#pass === undefined ? this.#linkJob(points) : this.#mendJob(points, this.#pass);
    return this.#job;
  }

  finish(job: LinkJob): void {
    assert(job === this.#job, 'it is the job that was taken');
    this.#job = undefined;
    if (job.kind === 'link') this.#finishLink(job.slots);
    if (job.kind === 'mend') this.#finishMend(job);
  }

  #linkJob(points: number): LinkJob | undefined {
    const { kernel, slots } = this.memory;
    const taken: number[] = [];
    for (const slot of this.#reused) {
      if (taken.length === points) break;
      taken.push(slot);
    }
    for (; taken.length < points && this.#tailAt < slots; this.#tailAt += 1) {
      if (kernel.stateOf(this.#tailAt) === STATE_PENDING) taken.push(this.#tailAt);
    }
    for (const slot of taken) kernel.handOver(slot);
    return taken.length === 0 ? undefined : { kind: 'link', slots: Uint32Array.from(taken) };
  }

  #finishLink(slots: Uint32Array): void {
    const { kernel } = this.memory;
    for (const slot of slots) {
      const became = kernel.settle(slot) >>> 0;
      if (became === NONE) this.#pending -= 1;
      this.#keep(slot, became);
    }
    this.#scanAt = this.#tailAt;
  }

  #mendJob(points: number, pass: Pass): LinkJob {
    const { slots } = this.memory;
    const from = pass.nextSlot;
    const to = Math.min(slots, from + NODES_PER_LINK * points);
    return { kind: 'mend', from, to, last: to === slots };
  }

  #finishMend({ to, last }: { to: number; last: boolean }): void {
    const pass = must(this.#pass, 'lists are mended in a pass');
    pass.nextSlot = to;
    if (!last) return;
    for (const slot of pass.condemned) {
      this.memory.kernel.free(slot);
      this.#free.push(slot);
    }
    this.#pass = undefined;
  }

  #takeSlot(): number {
    const free = this.#free.at(-1);
    if (free !== undefined && (free >= this.#tailAt || this.#reused.size < REUSED_MAX)) {
      this.#free.pop();
      return free;
    }
    const slot = this.memory.slots;
    this.memory.reserve(slot);
    return slot;
  }

  #enter(label: number, slot: number): void {
    const known = this.slotOf(label) !== NONE;
    this.#labels.set(label, slot);
    if (known) return;
    this.live.add(label);
    this.#count += 1;
  }

  #release(slot: number): void {
    const became = this.memory.remove(slot);
    if (became !== SLOT_DEAD) this.#pending -= 1;
    this.#keep(slot, became);
  }

  /** Notes what became of a slot; what is in a job is dead or free when the job has come back. */
  #keep(slot: number, became: number): void {
    this.#reused.delete(slot);
    if (became === SLOT_DEAD) this.#dead.push(slot);
    else if (became === SLOT_FREE) this.#free.push(slot);
  }

  /** Makes the tables from the rows of the memory. */
  #restore(): void {
    const { kernel, slots } = this.memory;
    for (let slot = slots; slot > 0 && this.#tailAt === 0; slot -= 1) {
      const state = kernel.stateOf(slot - 1);
      if (state === STATE_LINKED || state === STATE_DEAD) this.#tailAt = slot;
    }
    this.#scanAt = this.#tailAt;
    for (let slot = 0; slot < slots; slot += 1) {
      const state = kernel.stateOf(slot);
      if (state === STATE_DEAD) this.#dead.push(slot);
      else if (state === STATE_FREE) this.#free.push(slot);
      else this.#restorePoint(slot, kernel.labelOf(slot) >>> 0, state);
    }
  }

  #restorePoint(slot: number, label: number, state: number): void {
    if (state === STATE_PENDING) {
      this.#pending += 1;
      if (slot < this.#tailAt) this.#reused.add(slot);
    }
    const other = this.slotOf(label);
    if (other !== NONE) this.#release(other);
    this.#enter(label, slot);
  }
}
