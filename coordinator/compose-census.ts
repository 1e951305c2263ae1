/** Builds the census: who asks, where its archives are, and what operators see of it. */
import path from 'node:path';
import { auditKeyOf, publicPemOf } from '../shared/crypto/audit-chain.ts';
import { censusSeedOf } from '../shared/crypto/census-seal.ts';
import { CensusArchive } from './census/archive.ts';
import { Census } from './census/census.ts';
import { Surveyor } from './census/survey.ts';
import type { Fleet, Known } from './compose-parts.ts';
import type { CoordinatorConfig } from './config.ts';
import { CensusAdmin } from './control-plane/census.ts';
import type { DataPlane } from './data-plane/data-plane.ts';

export function composeCensus(
  config: CoordinatorConfig,
  parts: Known & Fleet & { dataPlane: DataPlane },
) {
  const { store, ledger, router, cluster, dataPlane, clock } = parts;
  const surveyor = new Surveyor({
    clients: store.clients,
    collections: () => dataPlane.allCollections(),
    current: (record) => dataPlane.collectionNow(record),
    setOf: (shardId) => cluster.find(shardId),
    ask: async (route, deadline) => {
      return (await router.ask(route, 'shard-census', {}, undefined, deadline)).body;
    },
    isConnected: (workerId) => router.connected().includes(workerId),
    lastKnown: (shardIds) => ledger.ask('census-shards', shardIds),
    clock,
  });
  const key = auditKeyOf(censusSeedOf(config.keyPepper));
  const archive = new CensusArchive({ folder: path.join(config.dataDir, 'census'), key });
  const requests = store.censusRequests;
  const { censusKeepDays: keepDays } = config;
  const census = new Census({ ...parts, surveyor, archive, requests }, { keepDays });
  router.onConnect(() => census.workerCame());
  const publicKey = publicPemOf(key);
  return { census, censusAdmin: new CensusAdmin({ ...parts, archive, census, publicKey }) };
}
