/** Builds what knows API keys: who shows one, and who makes them. */
import type { ClientId } from '../shared/base/ids.ts';
import type { Shutdown } from '../shared/base/shutdown.ts';
import { Authenticator } from './auth/authenticator.ts';
import { Epochs } from './auth/epochs.ts';
import { KeyDigester } from './auth/key-digest.ts';
import { createKeyHash } from './auth/key-hash.ts';
import { KeyUse } from './auth/key-use.ts';
import type { Known } from './compose-parts.ts';
import type { CoordinatorConfig } from './config.ts';
import { KeyAdmin } from './control-plane/keys.ts';

export async function composeKeys(config: CoordinatorConfig, known: Known, shutdown: Shutdown) {
  const { store, limitsOf, random } = known;
  const digester = new KeyDigester(config.keyPepper);
  const hash = await createKeyHash(random.bytes);
  const use = new KeyUse({ ...known, store: store.apiKeys });
  shutdown.add('key use', use);
  const authenticator = new Authenticator({
    ...known,
    keys: store.apiKeys,
    epochs: new Epochs(),
    digester,
    hash,
    noteUse: (keyId, at) => use.note(keyId, at),
  });
  const digest = (key: string) => digester.digest(key);
  const keysMax = (clientId: ClientId) => limitsOf(clientId).keys;
  const keys = new KeyAdmin({ ...known, caches: authenticator, digest, keysMax });
  return { authenticator, keys };
}
