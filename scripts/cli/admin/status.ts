/** `bulkhead status`. */

import { formatTable, printJson } from '../output.ts';
import type { AdminParts } from './admin-options.ts';

const WORKER_COLUMNS = ['worker_id', 'connected', 'shards', 'in_flight'];

/** With `--json` one object: the totals, and the workers in `worker_list`. */
export async function showStatus({ admin, output }: AdminParts): Promise<void> {
  const status = await admin.status();
  const workers = (await admin.workers()).map((worker) => ({ ...worker }));
  if (output.json) {
    printJson(output, { ...status, worker_list: workers });
    return;
  }
  const { clients, collections, shards, uptime_ms: uptimeMs } = status;
  const { known, connected } = status.workers;
  const totals = { clients, collections, shards, workers: `${connected} of ${known}` };
  const row = {
    ...totals,
    in_flight: status.in_flight,
    uptime: `${Math.round(uptimeMs / 1000)} s`,
  };
  output.write(formatTable(Object.keys(row), [row]));
  output.write(`\n${formatTable(WORKER_COLUMNS, workers)}`);
}
