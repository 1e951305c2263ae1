/** Builds the two servers, with what each of their endpoints needs. */
import type { AddressInfo } from 'node:net';
import type { Clock } from '../shared/base/clock.ts';
import type { Deadline } from '../shared/base/deadline.ts';
import type { ClientId } from '../shared/base/ids.ts';
import type { Shutdown } from '../shared/base/shutdown.ts';
import { LIMITS } from '../shared/domain/limits.ts';
import type { Principal } from './auth/principal.ts';
import type { Composed } from './compose-parts.ts';
import { type CoordinatorConfig, proxiesOf } from './config.ts';
import { Account } from './control-plane/account.ts';
import { AuditAdmin } from './control-plane/audit.ts';
import { OwnBilling } from './control-plane/billing/own-billing.ts';
import { ClientAdmin } from './control-plane/clients.ts';
import { CollectionAdmin } from './control-plane/collections.ts';
import { Erasure } from './control-plane/erasure.ts';
import { PlanAdmin } from './control-plane/plans.ts';
import { ReplicaAdmin } from './control-plane/replicas.ts';
import { type HeldShard, WorkerAdmin } from './control-plane/workers.ts';
import { limitsFor } from './data-plane/test-limits.ts';
import { createAdminServer } from './http/admin-server.ts';
import { createDataServer } from './http/data-server.ts';
import { GracefulClose } from './http/graceful-close.ts';
import { BadKeys } from './limits/bad-keys.ts';
import { ClientPauses } from './limits/client-pauses.ts';
import { InFlight } from './limits/in-flight.ts';
import { RateLimiter } from './limits/rate-limiter.ts';
import { RequestRates } from './limits/request-rates.ts';
import type { Payer } from './limits/tally.ts';

export function composeAdmin(config: CoordinatorConfig, composed: Composed) {
  const { store, cluster, workforce, clientLimits, dataPlane, work } = composed;
  const { authenticator: caches } = composed;
  const limitsChanged = () => {
    clientLimits.changed();
    work.limitsChanged();
    dataPlane.pausing.soon();
  };
  const eraseCollections = (clientId: ClientId) => dataPlane.collections.eraseAll(clientId);
  const erasure = new Erasure({ ...composed, eraseCollections });
  const release = async (shard: HeldShard, deadline: Deadline) => {
    return (await composed.router.ask(shard, 'shard-release', {}, undefined, deadline)).body
      .released;
  };
  const clients = new ClientAdmin({ ...composed, caches, limitsChanged, erasure });
  const { pausing } = dataPlane;
  const admin = createAdminServer(
    {
      ...composed,
      clients,
      collections: new CollectionAdmin({ clients, pausing }),
      plans: new PlanAdmin({ ...composed, limitsChanged }),
      audit: new AuditAdmin({ store }),
      workers: new WorkerAdmin({
        ...composed,
        live: () => workforce.live(),
        count: () => cluster.count(),
        release,
      }),
      replicas: new ReplicaAdmin(composed),
    },
    { tokens: [config.adminToken, config.adminTokenOld] },
  );
  return { admin, erasure, clients };
}

export function composeData(config: CoordinatorConfig, composed: Composed) {
  const { dataPlane } = composed;
  const inFlight = new InFlight({
    bodyBytesPerClientMax: LIMITS.clientBodyBytesMax,
    bodyBytesMax: LIMITS.bodiesBytesMax,
    smallBodyBytesMax: LIMITS.smallBodyBytesMax,
  });
  const usedBy = async (owner: Principal) => {
    return { ...(await dataPlane.usageOf(owner)), inFlight: inFlight.count(owner.clientId) };
  };
  const spend = (payer: Payer, units: number) => composed.work.spend(payer, units);
  const charge = (payer: Payer, units: number) => composed.work.charge(payer, units);
  const limitsOf = (owner: Principal) => limitsFor(owner, composed.limitsOf(owner.clientId));
  const { collections, queries, writes, clusterInfo } = dataPlane;
  return createDataServer(
    {
      ...composed,
      plane: {
        collections,
        queries,
        writes,
        clusterInfo,
        account: new Account({ ...composed, limitsOf, usedBy, spend, charge }),
        usage: composed.usage,
        billing: new OwnBilling({ ...composed.billing, spend }),
        auditTrail: composed.auditTrail,
        census: composed.census,
        notices: composed.notices,
        webhooks: composed.webhooks,
      },
      pauses: new ClientPauses({
        pauseOf: (clientId) => composed.clientLimits.pauseOf(clientId),
        billingUrl: config.billingUrl === 'none' ? undefined : config.billingUrl,
      }),
      badKeys: new BadKeys(new RateLimiter(composed)),
      rates: new RequestRates({
        clients: new RateLimiter(composed),
        keys: new RateLimiter(composed),
      }),
      inFlight,
      notReady: () => dataPlane.notReady(),
    },
    { ...config, trustedProxies: proxiesOf(config) },
  );
}

export async function listen(
  server: ReturnType<typeof createDataServer>,
  name: string,
  address: { host: string; port: number },
  { clock, shutdown }: { clock: Clock; shutdown: Shutdown },
): Promise<number> {
  shutdown.add(name, new GracefulClose(server, clock));
  await server.listen(address);
  return (server.server.address() as AddressInfo).port;
}
