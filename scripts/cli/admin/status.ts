/** `bulkhead status`. */

import { formatTable, printJson } from '../output.ts';
import type { AdminParts } from './admin-options.ts';
import type { ReplicaRow } from './admin-replies.ts';

const WORKER_COLUMNS = ['worker_id', 'state', 'shards', 'behind', 'in_flight'];
const BEHIND_COLUMNS = [
  'worker_id',
  'client_id',
  'collection',
  'ordinal',
  'versions_behind',
  'since',
];
/** Of those that are behind, so many are shown; `bulkhead replicas --behind` shows all. */
const BEHIND_SHOWN_MAX = 20;

/** With `--json` one object: totals, the workers in `worker_list`, `replicas_behind`. */
export async function showStatus({ admin, output }: AdminParts): Promise<void> {
  const status = await admin.status();
  const workers = (await admin.workers()).map((worker) => ({ ...worker }));
  const isLevel = status.replicas.behind === 0;
  const behind = isLevel ? [] : await admin.listReplicas({ state: 'behind' });
  if (output.json) {
    printJson(output, { ...status, worker_list: workers, replicas_behind: behind });
    return;
  }
  const { clients, collections, resharding, shards, uptime_ms: uptimeMs } = status;
  const { known, connected } = status.workers;
  const row = {
    clients,
    collections,
    resharding,
    shards,
    unreachable: status.shards_unreachable,
    replicas: status.replicas.total,
    behind: status.replicas.behind,
    workers: `${connected} of ${known}`,
    in_flight: status.in_flight,
    uptime: `${Math.round(uptimeMs / 1000)} s`,
  };
  output.write(formatTable(Object.keys(row), [row]));
  output.write(`\n${formatTable(WORKER_COLUMNS, workers)}`);
  if (behind.length > 0) output.write(`\nreplicas that lack writes\n${formatBehind(behind)}`);
}

function formatBehind(behind: readonly ReplicaRow[]): string {
  const shown = behind.slice(0, BEHIND_SHOWN_MAX).map((row) => ({ ...row }));
  const table = formatTable(BEHIND_COLUMNS, shown);
  const others = behind.length - shown.length;
  return others === 0 ? table : `${table}and ${others} more: bulkhead replicas --behind\n`;
}
