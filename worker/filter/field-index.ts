/**
 * The index of one payload key. It knows, for each label,
 *
 *   seen      the path leads to a value at all
 *   filled    one value is neither null nor []       (is-empty is the opposite)
 *   nulls     one value is null                      (is-null)
 *   indexed   one element is of the index's kind, and is in `#keyed` or `#sorted`
 *   others    one element is of another kind (text under an integer index, an object...)
 *
 * With these it answers every condition on its key with a set of labels: exactly the matches, or,
 * where the condition asks for what only the payload can say, a superset. `matches.ts` is the
 * reference that it has to agree with.
 *
 * Kinds: texts (keyword, uuid) and bools by value, tokens (text) by word, numbers (integer,
 * float) and dates in order. An integer index takes fractions too, because a range on the key
 * finds them when there is no index, and an index must not change an answer.
 */
import { unreachable } from '../../shared/base/assert.ts';
import { Bitmap } from '../../shared/base/bitmap.ts';
import type { PayloadIndexType } from '../../shared/domain/collection.ts';
import { parseDatetime } from '../../shared/domain/datetime.ts';
import type { Condition, MatchScalar } from '../../shared/domain/filter.ts';
import { type PayloadPath, visitPath } from '../../shared/domain/payload-path.ts';
import type { JsonObject, JsonValue } from '../../shared/domain/point.ts';
import { KeyedIndex } from './keyed-index.ts';
import { isFilled } from './matches.ts';
import { SortedIndex } from './sorted-index.ts';
import { tokenize } from './tokenize.ts';

/** Conditions that look at one key. */
export type KeyCondition = Exclude<
  Condition,
  { kind: 'group' } | { kind: 'nested' } | { kind: 'has-id' } | { kind: 'has-vector' }
>;

/** Labels that may match; with `exact`, they are the matches. The receiver owns the bitmap. */
export interface Candidates {
  labels: Bitmap;
  exact: boolean;
}

type Kind = 'texts' | 'bools' | 'tokens' | 'numbers' | 'dates';

const KIND_OF_TYPE: Record<PayloadIndexType, Kind> = {
  keyword: 'texts',
  uuid: 'texts',
  bool: 'bools',
  text: 'tokens',
  integer: 'numbers',
  float: 'numbers',
  datetime: 'dates',
};

export class FieldIndex {
  readonly type: PayloadIndexType;
  readonly #path: PayloadPath;
  readonly #kind: Kind;
  readonly #keyed = new KeyedIndex<string | boolean>();
  readonly #sorted = new SortedIndex();
  readonly #seen = new Bitmap();
  readonly #filled = new Bitmap();
  readonly #nulls = new Bitmap();
  readonly #indexed = new Bitmap();
  readonly #others = new Bitmap();

  constructor(type: PayloadIndexType, path: PayloadPath) {
    this.type = type;
    this.#path = path;
    this.#kind = KIND_OF_TYPE[type];
  }

  /** Points with at least one value of the index's kind. */
  get points(): number {
    return this.#keyed.points + this.#sorted.points;
  }

  get memoryBytes(): number {
    const sets = [this.#seen, this.#filled, this.#nulls, this.#indexed, this.#others];
    const setBytes = sets.reduce((total, set) => total + set.words.byteLength, 0);
    return setBytes + this.#keyed.memoryBytes + this.#sorted.memoryBytes;
  }

  /** Replaces what was known of `label`. */
  put(label: number, payload: JsonObject | null): void {
    this.remove(label);
    const keys = new Set<string | boolean | number>();
    visitPath(payload ?? undefined, this.#path, (value) => {
      this.#seen.add(label);
      if (value === null) this.#nulls.add(label);
      if (isFilled(value)) this.#filled.add(label);
      for (const element of Array.isArray(value) ? value : [value]) {
        const found = keysOf(this.#kind, element);
        for (const key of found) keys.add(key);
        if (found.length === 0 && element !== null) this.#others.add(label);
      }
    });
    if (keys.size === 0) return;
    this.#indexed.add(label);
    if (this.#isSorted()) this.#sorted.put(label, [...keys] as number[]);
    else this.#keyed.put(label, [...keys] as (string | boolean)[]);
  }

  remove(label: number): void {
    if (!this.#seen.has(label)) return;
    for (const set of [this.#seen, this.#filled, this.#nulls, this.#indexed, this.#others]) {
      set.delete(label);
    }
    this.#keyed.remove(label);
    this.#sorted.remove(label);
  }

  /** About how many labels match, without collecting them; `otherwise` where it can not say. */
  estimate(condition: KeyCondition, otherwise: number): number {
    if (condition.kind === 'match-any') {
      let total = 0;
      for (const value of condition.values) total += this.#estimateEqual(value) ?? otherwise;
      return Math.min(total, otherwise);
    }
    if (condition.kind === 'match-text' && this.#kind === 'tokens') {
      const counts = tokenize(condition.text).map((token) => this.#keyed.count(token));
      return counts.length === 0 ? 0 : Math.min(...counts);
    }
    const sorted =
      (condition.kind === 'range' && this.#kind === 'numbers') ||
      (condition.kind === 'datetime-range' && this.#kind === 'dates');
    return sorted ? Math.min(this.#sorted.count(condition.range), otherwise) : otherwise;
  }

  candidates(condition: KeyCondition, live: Bitmap): Candidates {
    switch (condition.kind) {
      case 'is-empty':
        return { labels: live.clone().andNot(this.#filled), exact: true };
      case 'is-null':
        return { labels: this.#nulls.clone(), exact: true };
      case 'values-count':
        return { labels: this.#seen.clone(), exact: false };
      case 'match-any':
        return this.#matchAny(condition.values);
      case 'match-except':
        return this.#matchExcept(condition.values);
      case 'match-text':
        return this.#matchText(condition.text);
      case 'range':
      case 'datetime-range': {
        const kind = condition.kind === 'range' ? 'numbers' : 'dates';
        if (this.#kind !== kind) return this.#unindexed(condition.kind !== 'range');
        const labels = new Bitmap(this.#seen.words.length * 32);
        this.#sorted.addTo(condition.range, labels);
        return { labels, exact: true };
      }
      default:
        return unreachable(condition);
    }
  }

  #isSorted(): boolean {
    return this.#kind === 'numbers' || this.#kind === 'dates';
  }

  #matchAny(values: MatchScalar[]): Candidates {
    const labels = new Bitmap(this.#seen.words.length * 32);
    let exact = true;
    for (const value of values) exact = this.#addEqual(value, labels) && exact;
    // What the index could not settle may stand among the values of another kind.
    return { labels: exact ? labels : labels.or(this.#others), exact };
  }

  /** Adds the indexed labels that may have `value`; true when no other label can have it and
   * none of the added ones lacks it. */
  #addEqual(value: MatchScalar, labels: Bitmap): boolean {
    if (this.#isKey(value)) {
      this.#keyed.addTo(value, labels);
      return true;
    }
    if (this.#kind === 'tokens' && typeof value === 'string') {
      labels.or(this.#keyed.withAll(tokenize(value)));
    } else if (this.#isSorted()) {
      for (const key of keysOf(this.#kind, value) as number[]) {
        this.#sorted.addTo({ gte: key, lte: key }, labels);
        // Beyond 2^53 several integers share a double.
        if (this.#kind === 'numbers') return typeof value === 'number';
      }
    }
    return false;
  }

  /** Whether a value of this type is in `#keyed` whole, wherever it occurs. */
  #isKey(value: MatchScalar): value is string | boolean {
    return (
      (this.#kind === 'texts' && typeof value === 'string') ||
      (this.#kind === 'bools' && typeof value === 'boolean')
    );
  }

  #estimateEqual(value: MatchScalar): number | undefined {
    if (this.#isKey(value)) return this.#keyed.count(value);
    if (this.#kind !== 'numbers' || typeof value !== 'number') return undefined;
    return this.#sorted.count({ gte: value, lte: value });
  }

  #matchExcept(values: MatchScalar[]): Candidates {
    const labels = this.#indexed.clone().or(this.#others);
    const keys = new Set<string | boolean>();
    for (const value of values) if (this.#isKey(value)) keys.add(value);
    this.#keyed.forEachWithOnly(keys, (label) => {
      if (!this.#others.has(label)) labels.delete(label);
    });
    return { labels, exact: keys.size === values.length };
  }

  #matchText(text: string): Candidates {
    if (this.#kind !== 'tokens') return this.#unindexed(true);
    return { labels: this.#keyed.withAll(tokenize(text)), exact: true };
  }

  /** Labels that may have a value which this index does not keep: a text, or something else. */
  #unindexed(text: boolean): Candidates {
    const labels = this.#others.clone();
    const keepsTexts = this.#kind !== 'numbers' && this.#kind !== 'bools';
    return { labels: text && keepsTexts ? labels.or(this.#indexed) : labels, exact: false };
  }
}

/** The keys under which an element stands in an index of this kind; none if it has no place. */
function keysOf(kind: Kind, element: JsonValue): (string | boolean | number)[] {
  switch (kind) {
    case 'texts':
      return typeof element === 'string' ? [element] : [];
    case 'bools':
      return typeof element === 'boolean' ? [element] : [];
    case 'tokens':
      return typeof element === 'string' ? tokenize(element) : [];
    case 'numbers':
      // Adding 0 makes -0 the same as 0, also where keys are compared bit by bit.
      if (typeof element === 'number') return [element + 0];
      return typeof element === 'bigint' ? [Number(element)] : [];
    case 'dates': {
      const micros = typeof element === 'string' ? parseDatetime(element) : undefined;
      return micros === undefined ? [] : [micros];
    }
    default:
      return unreachable(kind);
  }
}
