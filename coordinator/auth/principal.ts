import type { ClientId, KeyId } from '../../shared/base/ids.ts';
import type { Mode } from '../../shared/domain/collection.ts';
import type { KeyRole } from '../store/api-keys.ts';

/** On whose behalf a request acts: only ever what a key says, never what a request says. */
export interface Principal {
  readonly clientId: ClientId;
  readonly mode: Mode;
  readonly keyId: KeyId;
  readonly role: KeyRole;
}
