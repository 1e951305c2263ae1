/**
 * Builds the coordinator's parts once and hands each what it needs. Listening comes last, so that
 * nobody is answered by half a coordinator; closing goes the other way round, so that requests
 * under way still find their workers and the store.
 */
import { mkdir } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { must } from '../shared/base/assert.ts';
import type { Clock } from '../shared/base/clock.ts';
import type { ClientId, KeyId } from '../shared/base/ids.ts';
import type { SecureRandom } from '../shared/base/random.ts';
import type { Shutdown } from '../shared/base/shutdown.ts';
import { LIMITS } from '../shared/domain/limits.ts';
import { effectiveLimits, type PlanLimits } from '../shared/domain/plan.ts';
import { AppError } from '../shared/errors/app-error.ts';
import type { Log } from '../shared/log/log.ts';
import { Authenticator } from './auth/authenticator.ts';
import { Epochs } from './auth/epochs.ts';
import { KeyDigester } from './auth/key-digest.ts';
import { createKeyHash } from './auth/key-hash.ts';
import { KeyUse } from './auth/key-use.ts';
import { type CoordinatorConfig, proxiesOf } from './config.ts';
import { AuditAdmin } from './control-plane/audit.ts';
import { ClientAdmin } from './control-plane/clients.ts';
import { Erasure } from './control-plane/erasure.ts';
import { Idempotency } from './control-plane/idempotency.ts';
import { KeyAdmin, type KeyAdminDeps } from './control-plane/keys.ts';
import { PlanAdmin } from './control-plane/plans.ts';
import { WorkerAdmin } from './control-plane/workers.ts';
import { DataPlane } from './data-plane/data-plane.ts';
import { createAdminServer } from './http/admin-server.ts';
import { createDataServer } from './http/data-server.ts';
import { GracefulClose } from './http/graceful-close.ts';
import { BadKeys } from './limits/bad-keys.ts';
import { ClientLimits } from './limits/client-limits.ts';
import { InFlight } from './limits/in-flight.ts';
import { RequestRates } from './limits/request-rates.ts';
import { Router } from './routing/router.ts';
import { ControlStore } from './store/control-store.ts';
import { WorkerLink } from './worker-link/worker-link.ts';

export interface CoordinatorDeps {
  clock: Clock;
  random: SecureRandom;
  log: Log;
}

/** Starts a coordinator; resolves to the ports it listens on. */
export async function startCoordinator(
  config: CoordinatorConfig,
  deps: CoordinatorDeps,
  shutdown: Shutdown,
) {
  const { clock, random, log } = deps;
  const startMs = clock.monotonicMs();
  await mkdir(config.dataDir, { recursive: true, mode: 0o700 });
  const store = ControlStore.open(path.join(config.dataDir, 'control.db'), { clock });
  shutdown.add('control store', store);

  const link = new WorkerLink(deps, {
    host: config.host,
    port: config.linkPort,
    secret: config.linkSecret,
  });
  shutdown.add('worker link', link);
  const router = new Router({ link, shardCounts: () => store.shards.countByWorker() });
  link.onConnect((workerId) => store.workers.seen(workerId));

  const clientLimits = new ClientLimits((clientId) => limitsIn(store, clientId));
  const limitsChanged = () => clientLimits.changed();
  const limitsOf = (clientId: ClientId) => clientLimits.of(clientId);
  const keysMax = (clientId: ClientId) => limitsOf(clientId).keys;
  const keyDeps = { ...deps, store, keysMax };
  const { authenticator, keys } = await composeKeys(config, keyDeps, shutdown);
  const dataPlane = new DataPlane({ ...deps, store: store.collections, router, limitsOf });
  shutdown.add('data plane', dataPlane);
  const eraseCollections = (clientId: ClientId) => dataPlane.collections.eraseAll(clientId);
  const erasure = new Erasure({ ...deps, store, eraseCollections });
  shutdown.add('erasure', erasure);
  const caches = authenticator;
  const admin = createAdminServer(
    {
      clients: new ClientAdmin({ ...deps, store, caches, limitsChanged, erasure }),
      keys,
      plans: new PlanAdmin({ store, limitsChanged, log }),
      audit: new AuditAdmin({ store }),
      random,
      idempotency: new Idempotency({ store, secret: config.keyPepper, random, clock }),
      workers: new WorkerAdmin({ store, live: () => router.workers(), clock }),
      log,
    },
    { tokens: [config.adminToken, config.adminTokenOld] },
  );
  const data = createDataServer(
    {
      authenticator,
      dataPlane,
      clientLimits,
      badKeys: new BadKeys({ clock }),
      rates: new RequestRates({ clock }),
      inFlight: new InFlight({
        bodyBytesPerClientMax: LIMITS.clientBodyBytesMax,
        bodyBytesMax: LIMITS.bodiesBytesMax,
        smallBodyBytesMax: LIMITS.smallBodyBytesMax,
      }),
      notReady: () => dataPlane.notReady(),
      log,
      clock,
    },
    { ...config, trustedProxies: proxiesOf(config) },
  );

  dataPlane.start();
  erasure.plan();
  const { port: linkPort } = await link.start();
  const { host } = config;
  const ending = { clock, shutdown };
  const adminPort = await listen(admin, 'admin API', { host, port: config.adminPort }, ending);
  const port = await listen(data, 'data API', { host, port: config.port }, ending);
  const ms = clock.monotonicMs() - startMs;
  log.event('coordinator_ready', { host, port, adminPort, linkPort, ms });
  return { host, port, adminPort, linkPort };
}

/** Throws `unauthenticated` for a client that was erased while its request was under way. */
function limitsIn(store: ControlStore, clientId: ClientId): PlanLimits {
  const client = store.clients.get(clientId);
  if (client === undefined) throw new AppError('unauthenticated');
  const plan = must(store.plans.get(client.planId), 'a client is on a plan');
  return effectiveLimits(plan.limits, client.overrides);
}

type KeyDeps = CoordinatorDeps & Pick<KeyAdminDeps, 'keysMax'> & { store: ControlStore };

async function composeKeys(config: CoordinatorConfig, deps: KeyDeps, shutdown: Shutdown) {
  const { store } = deps;
  const digester = new KeyDigester(config.keyPepper);
  const hash = await createKeyHash(deps.random.bytes);
  const epochs = new Epochs();
  const { clock } = deps;
  const use = new KeyUse({ ...deps, store: store.apiKeys });
  shutdown.add('key use', use);
  const noteUse = (keyId: KeyId, at: number) => use.note(keyId, at);
  const base = { keys: store.apiKeys, epochs, digester, hash, clock };
  const authenticator = new Authenticator({ ...base, noteUse });
  const digest = (key: string) => digester.digest(key);
  const keys = new KeyAdmin({ ...deps, caches: authenticator, digest });
  return { authenticator, keys };
}

async function listen(
  server: ReturnType<typeof createDataServer>,
  name: string,
  address: { host: string; port: number },
  { clock, shutdown }: { clock: Clock; shutdown: Shutdown },
): Promise<number> {
  shutdown.add(name, new GracefulClose(server, clock));
  await server.listen(address);
  return (server.server.address() as AddressInfo).port;
}
