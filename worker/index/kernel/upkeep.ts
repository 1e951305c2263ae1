/**
 * What there is to do for a graph beside answering, one job at a time and the most urgent first:
 *
 *   a pass under way     mend lists until nothing leads to the condemned
 *   a copy under way     copy nodes until the new memory has them all, then go on with that one
 *   many dead, or any    start a pass: each costs walks a little, and after a `purge` what was
 *   after a `purge`       removed is to leave no bytes
 *   pending points       link them
 *   most slots free      start a copy: memories never shrink
 *   finer codes wanted   the same
 *
 * Whoever runs the jobs may add and remove points between taking a job and giving it back.
 */
import { must } from '../../../shared/base/assert.ts';
import { type CopyPlan, highestOf, planCopy } from './copy.ts';
import type { LinkJob } from './job.ts';
import { type Coding, NONE } from './layout.ts';
import type { KernelMemory } from './memory.ts';
import { KernelSlots, NODES_PER_LINK } from './slots.ts';

/**
 * Dead nodes, as a share of the living, that start a pass. Each costs searches a little; and the
 * fewer neighbours die at a time, the better what is left knows whom to link instead: with a tenth
 * a pass, replacing half of the points lost .015 of recall, with this nothing that shows.
 */
const DEAD_SHARE = 0.04;
const DEAD_MIN = 64;
/** Free slots that start a copy: more than there are points, and more than a block has. */
const FREE_MIN = 1_024;

interface Copy {
  into: KernelMemory;
  plan: CopyPlan;
  next: number;
  entered: ReadonlySet<number>;
  /** Whether the new memory codes in another way. */
  recode: boolean;
}

export class KernelUpkeep {
  #slots: KernelSlots;
  readonly #emptyMemory: (coding: Coding) => KernelMemory;
  #copy: Copy | undefined;
  #purging = false;
  /** How vectors are to be coded from the next copy on, if not as they are. */
  #wanted: Coding | undefined;

  /** `emptyMemory` makes one with the layout of `slots`' own but for the coding. */
  constructor(slots: KernelSlots, emptyMemory: (coding: Coding) => KernelMemory) {
    this.#slots = slots;
    this.#emptyMemory = emptyMemory;
  }

  /** Where the points are; another one after a copy. */
  get slots(): KernelSlots {
    return this.#slots;
  }

  get due(): boolean {
    const { pending, passing, deadCount } = this.#slots;
    if (pending > 0 || passing || this.#copy !== undefined) return true;
    if (this.#wanted !== undefined) return true;
    return this.#isWorn || this.isSparse || (this.#purging && deadCount > 0);
  }

  /** From now on, removed points are taken out of the graph however few they are. */
  purge(): void {
    const { deadCount, inJob } = this.#slots;
    this.#purging = deadCount > 0 || inJob;
  }

  /** All nodes are to be coded like this. They have their floats. */
  recode(coding: Coding): void {
    this.#wanted = coding;
  }

  /** The next job, of about the work of linking `points` points; give it back with `finish`. */
  takeJob(points: number): LinkJob | undefined {
    if (this.#copy !== undefined) return copyJob(this.#copy, points);
    const slots = this.#slots;
    if (!slots.passing && this.#passWanted) {
      slots.startPass();
      this.#purging = false;
    }
    if (slots.passing || slots.pending > 0) return slots.takeJob(points);
    if (!this.isSparse && this.#wanted === undefined) return undefined;
    this.#copy = this.#startCopy();
    return copyJob(this.#copy, points);
  }

  finish(job: LinkJob): void {
    if (job.kind === 'copy') this.#finishCopy(job, must(this.#copy, 'a copy is under way'));
    else this.#slots.finish(job);
    if (this.#slots.deadCount === 0) this.#purging = false;
  }

  get #passWanted(): boolean {
    const { pending, deadCount } = this.#slots;
    if (this.#isWorn) return true;
    return deadCount > 0 && (this.#purging || (pending === 0 && this.isSparse));
  }

  get #isWorn(): boolean {
    const { deadCount, count } = this.#slots;
    return deadCount > Math.max(DEAD_MIN, DEAD_SHARE * count);
  }

  /** Whether most slots are free. */
  get isSparse(): boolean {
    const { freeCount, count } = this.#slots;
    return freeCount > Math.max(FREE_MIN, count);
  }

  #startCopy(): Copy {
    const { memory } = this.#slots;
    const coding = this.#wanted;
    this.#wanted = undefined;
    const into = this.#emptyMemory(coding ?? memory.coding);
    const plan = planCopy(memory.shared, into.shared, this.#slots.placed());
    if (plan.end > 0) into.reserve(plan.end - 1);
    const entered = this.#slots.watchEntered();
    return { into, plan, next: 0, entered, recode: coding !== undefined };
  }

  #finishCopy({ to, last }: { to: number; last: boolean }, copy: Copy): void {
    copy.next = to;
    if (!last) return;
    this.#copy = undefined;
    this.#slots = takeOver(this.#slots, copy);
  }
}

function copyJob({ plan, next, recode }: Copy, points: number): LinkJob {
  const to = Math.min(plan.slots.length, next + NODES_PER_LINK * points);
  return { kind: 'copy', plan, recode, from: next, to, last: to === plan.slots.length };
}

/** The copied graph, brought level with what happened since the copy was started. */
function takeOver(from: KernelSlots, { into, plan, entered, recode }: Copy): KernelSlots {
  const entry = plan.places[from.memory.entry] ?? NONE;
  const places = plan.slots.values().map((slot) => plan.places[slot] as number);
  into.takeGraph(plan.end, plan.gaps, entry === NONE ? highestOf(into.shared, places) : entry);
  const slots = new KernelSlots(into);
  for (const label of slots.live.clone().andNot(from.live).toLabels()) slots.remove(label);
  const fresh = from.live.clone().andNot(slots.live);
  for (const label of entered) if (from.live.has(label)) fresh.add(label);
  for (const label of fresh.toLabels()) {
    if (recode) slots.put(label, from.memory.raw(from.slotOf(label)));
    else slots.putCopy(label, from);
  }
  return slots;
}
