/** Use that is in the ledger as requests would have left it. */
import type { ClientId, KeyId } from '../../shared/base/ids.ts';
import type { Mode } from '../../shared/domain/collection.ts';
import { hourOf } from '../../shared/protocol/meter.ts';
import type { AdminRig } from './admin-rig.ts';

interface Use {
  mode?: Mode;
  namespace?: string;
  key?: string;
  queries?: number;
  /** Unless said, that of the rig's clock. */
  hour?: number;
}

/** A million queries unless said, of the client with that path. */
export async function use(rig: AdminRig, client: string, more: Use = {}): Promise<void> {
  const { mode = 'live', namespace = 'default', key = 'key_a', queries = 1_000_000 } = more;
  const clientId = clientIdOf(client);
  const hour = more.hour ?? hourOf(rig.clock.now());
  const amounts = { requests: 1, queries, units: 1, bytesIn: 1, bytesOut: 1 };
  const whose = { clientId, mode, namespace, keyId: key as KeyId, hour };
  const sums = [{ ...whose, route: 'query', status: 200, ...amounts }];
  await rig.ledger.append({ kind: 'requests', sums });
}

export function clientIdOf(client: string): ClientId {
  return client.split('/').at(-1) as ClientId;
}
