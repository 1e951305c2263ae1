/** The log of what operators changed, as operators see it. */
import type { AdminAuditEntry } from '../store/admin-audit.ts';
import type { ControlStore } from '../store/control-store.ts';

export class AuditAdmin {
  readonly #store: Pick<ControlStore, 'adminAudit'>;

  constructor(deps: { store: Pick<ControlStore, 'adminAudit'> }) {
    this.#store = deps.store;
  }

  /** Entries after the one of that number, oldest first; `next` is the number to continue after. */
  list({ after, limit, target }: { after: number; limit: number; target?: string | undefined }): {
    items: AdminAuditEntry[];
    next: number | null;
  } {
    const found = this.#store.adminAudit.page(after, limit + 1, target ?? null);
    const items = found.slice(0, limit);
    const last = items.at(-1);
    return { items, next: found.length > limit && last !== undefined ? last.sequence : null };
  }
}
