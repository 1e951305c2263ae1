import type { ClientId, KeyId } from '../../shared/base/ids.ts';
import type { Mode } from '../../shared/domain/collection.ts';
import { mayDo, PERMISSIONS, type Permission, type Role } from '../../shared/domain/permissions.ts';
import { AppError } from '../../shared/errors/app-error.ts';

/** On whose behalf a request acts: only ever what a key says, never what a request says. */
export interface Principal {
  readonly clientId: ClientId;
  readonly mode: Mode;
  readonly keyId: KeyId;
  readonly role: Role;
  /** Those it may touch; null for all. */
  readonly namespaces: readonly string[] | null;
  /** The one that a request works in. */
  readonly namespace: string;
  /** When the secret that was shown ends, with its key or before; null for never. */
  readonly endsAt: number | null;
  /** Of this key alone, within its client's; null for no bound of its own. */
  readonly requestsPerSecond: number | null;
}

/** Throws `forbidden`, in words that name the role and what it lacks. */
export function requirePermission({ role }: Pick<Principal, 'role'>, needed: Permission): void {
  if (mayDo(role, needed)) return;
  const { help } = PERMISSIONS[needed];
  throw new AppError('forbidden', `a key of the role "${role}" may not ${help}`);
}
