/**
 * What a disk holds, followed through a journal, and what of it a power cut would leave.
 *
 *   file     durable content | changes since the last sync of the file
 *   folder   durable entries | changes since the last sync of the folder
 *
 * A cut leaves, by its kind:
 *
 *   strict   what was synced and nothing else: neither data nor names. (ext4 makes a new file's name
 *            durable with the file's own sync; nobody promises that, so here it does not happen.)
 *   torn     besides, of each file any of the sectors that were written since, and of each folder
 *            some of the changes since, the earlier ones first, as a file system's journal has them
 *   none     everything: the process died and the machine did not
 *
 * A sync that failed leaves the data in memory, where it is read from, and marks it as written: no
 * later sync brings it to the disk. (Linux does that; what a folder's sync should have written goes
 * with the next one, since file systems stop when they can not write their own journal.)
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { assert, must, unreachable } from '../../shared/base/assert.ts';
import type { SeededRandom } from '../../shared/base/random.ts';
import type { JournalRecord } from './journal.ts';

export type Cut =
  | { kind: 'strict' }
  | { kind: 'torn'; random: SeededRandom; sectorBytes: number }
  | { kind: 'none' };

type Change = { at: number; data: Buffer } | { size: number };

/** Bytes that grow at the end. */
class Content {
  #bytes = Buffer.alloc(0);
  #length = 0;

  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  copy(): Content {
    const copy = new Content();
    copy.apply({ at: 0, data: this.bytes });
    return copy;
  }

  apply(change: Change): void {
    if ('size' in change) this.#resize(change.size);
    else {
      const { at, data } = change;
      this.#resize(Math.max(this.#length, at + data.length));
      this.#bytes.set(data, at);
    }
  }

  #resize(length: number): void {
    if (length > this.#bytes.length) {
      const grown = Buffer.alloc(2 * length);
      grown.set(this.bytes);
      this.#bytes = grown;
    }
    if (length < this.#length) this.#bytes.fill(0, length, this.#length);
    this.#length = length;
  }
}

class FileNode {
  readonly durable = new Content();
  readonly live = new Content();
  pending: Change[] = [];

  change(change: Change): void {
    this.live.apply(change);
    this.pending.push(change);
  }

  sync(): void {
    for (const change of this.pending) this.durable.apply(change);
    this.pending = [];
  }

  after(cut: Cut): Buffer {
    if (cut.kind === 'strict') return this.durable.bytes;
    if (cut.kind === 'none') return this.live.bytes;
    const torn = this.durable.copy();
    const { random, sectorBytes } = cut;
    const likelihood = random.next();
    for (const change of this.pending) {
      if ('size' in change) {
        if (random.next() < likelihood) torn.apply(change);
        continue;
      }
      for (const sector of sectorsOf(change, sectorBytes)) {
        if (random.next() < likelihood) torn.apply(sector);
      }
    }
    return torn.bytes;
  }
}

function* sectorsOf({ at, data }: { at: number; data: Buffer }, sectorBytes: number) {
  for (let from = at; from < at + data.length; ) {
    const to = Math.min(at + data.length, (Math.floor(from / sectorBytes) + 1) * sectorBytes);
    yield { at: from, data: data.subarray(from - at, to - at) };
    from = to;
  }
}

type Entries = Map<string, FileNode | FolderNode>;
type EntryChange = (entries: Entries) => void;

class FolderNode {
  readonly durable: Entries = new Map();
  readonly live: Entries = new Map();
  pending: EntryChange[] = [];

  change(change: EntryChange): void {
    change(this.live);
    this.pending.push(change);
  }

  sync(): void {
    for (const change of this.pending) change(this.durable);
    this.pending = [];
  }

  after(cut: Cut): Entries {
    if (cut.kind === 'strict') return this.durable;
    if (cut.kind === 'none') return this.live;
    const entries = new Map(this.durable);
    const kept = cut.random.below(this.pending.length + 1);
    for (const change of this.pending.slice(0, kept)) change(entries);
    return entries;
  }
}

export class DiskModel {
  readonly #root = new FolderNode();
  /** By inode. A number is used again only when nothing has what it named. */
  readonly #nodes = new Map<string, FileNode | FolderNode>();

  /** Whether what a strict cut leaves may have changed. */
  apply(record: JournalRecord): boolean {
    switch (record.kind) {
      case 'root':
        this.#nodes.set(record.a, this.#root);
        return false;
      case 'create':
      case 'make-folder':
        this.#make(record);
        return false;
      case 'write':
        this.#file(record.a).change({ at: record.offset, data: record.data });
        return false;
      case 'truncate':
        this.#file(record.a).change({ size: record.offset });
        return false;
      case 'rename':
        this.#rename(record);
        return false;
      case 'unlink':
      case 'remove-folder':
        this.#folder(record.a).change((entries) => entries.delete(record.name));
        return false;
      case 'sync': {
        const node = must(this.#nodes.get(record.a), 'what is synced is known');
        const changes = node.pending.length > 0;
        node.sync();
        return changes;
      }
      case 'sync-failed':
        this.#syncFailed(record);
        return false;
      case 'mark':
      case 'fault':
        return false;
      case 'unsupported':
      case 'none':
        throw new Error(`the journal has no words for ${record.name}`);
      default:
        return unreachable(record.kind);
    }
  }

  /** Makes `target` what is left at `path` below the root; false when nothing is. */
  restore(target: string, cut: Cut, path: readonly string[] = []): boolean {
    let node: FileNode | FolderNode | undefined = this.#root;
    for (const name of path) {
      if (!(node instanceof FolderNode)) return false;
      node = node.after(cut).get(name);
    }
    if (!(node instanceof FolderNode)) return false;
    writeFolder(target, node, cut);
    return true;
  }

  /** Everything that is there now: content by path, null for folders. */
  contents(): Map<string, Buffer | null> {
    const found = new Map<string, Buffer | null>();
    const walk = (folder: FolderNode, prefix: string): void => {
      for (const [name, node] of folder.live) {
        found.set(prefix + name, node instanceof FileNode ? node.live.bytes : null);
        if (node instanceof FolderNode) walk(node, `${prefix}${name}/`);
      }
    };
    walk(this.#root, '');
    return found;
  }

  #make({ kind, a, b, name }: JournalRecord): void {
    const node = kind === 'create' ? new FileNode() : new FolderNode();
    this.#nodes.set(b, node);
    this.#folder(a).change((entries) => entries.set(name, node));
  }

  #rename({ a, b, name, data }: JournalRecord): void {
    // Between two folders a cut could leave both names or none; nothing of ours depends on that.
    assert(a === b, 'a rename stays in its folder');
    const to = data.toString();
    this.#folder(a).change((entries) => {
      const node = must(entries.get(name), 'what is renamed is there');
      entries.delete(name);
      entries.set(to, node);
    });
  }

  #syncFailed({ a }: JournalRecord): void {
    const node = must(this.#nodes.get(a), 'what is synced is known');
    if (node instanceof FileNode) node.pending = [];
  }

  #file(inode: string): FileNode {
    const node = this.#nodes.get(inode);
    assert(node instanceof FileNode, 'it is a file that was made under watch');
    return node;
  }

  #folder(inode: string): FolderNode {
    const node = this.#nodes.get(inode);
    assert(node instanceof FolderNode, 'it is a folder that was made under watch');
    return node;
  }
}

function writeFolder(target: string, folder: FolderNode, cut: Cut): void {
  mkdirSync(target, { recursive: true });
  for (const [name, node] of folder.after(cut)) {
    const path = join(target, name);
    if (node instanceof FolderNode) writeFolder(path, node, cut);
    else writeFileSync(path, node.after(cut));
  }
}
