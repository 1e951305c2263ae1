/** Builds what keeps the audit chains. */
import type { ClientId } from '../shared/base/ids.ts';
import type { Shutdown } from '../shared/base/shutdown.ts';
import type { SteadyClock } from '../shared/base/steady-clock.ts';
import { auditKeyOf, auditSeedOf, publicPemOf } from '../shared/crypto/audit-chain.ts';
import type { PlanLimits } from '../shared/domain/plan.ts';
import { AuditLog } from './audit/audit-log.ts';
import { ChangeLog } from './audit/change-log.ts';
import { Retention } from './audit/retention.ts';
import type { CoordinatorDeps } from './compose-parts.ts';
import type { CoordinatorConfig } from './config.ts';
import { AuditTrail } from './control-plane/audit-trail.ts';
import type { Ledger } from './ledger/ledger.ts';
import type { ControlStore } from './store/control-store.ts';

export function composeAudit(
  config: CoordinatorConfig,
  parts: CoordinatorDeps & {
    store: ControlStore;
    ledger: Ledger;
    findLimits: (clientId: ClientId) => PlanLimits | undefined;
    steady: SteadyClock;
  },
  shutdown: Shutdown,
) {
  const auditLog = new AuditLog(parts);
  shutdown.add('audit log', auditLog);
  const changeLog = new ChangeLog(parts);
  shutdown.add('change log', changeLog);
  const daysOf = (chain: string) => {
    // Of operators, and of a client that is gone.
    const limits = parts.findLimits(chain as ClientId);
    return limits?.audit_retention_days ?? config.auditRetentionDays;
  };
  const retention = new Retention({ ...parts, daysOf });
  shutdown.add('retention', retention);
  const publicKey = publicPemOf(auditKeyOf(auditSeedOf(config.keyPepper)));
  return { auditLog, changeLog, retention, auditTrail: new AuditTrail({ ...parts, publicKey }) };
}
