/** The coordinator's process: settings, signals, exit. */
import { setFlagsFromString } from 'node:v8';
import { systemClock } from '../shared/base/clock.ts';
import { InUse } from '../shared/base/in-use.ts';
import { secureRandom } from '../shared/base/random.ts';
import { runProcess } from '../shared/base/run-process.ts';
import { ConfigError } from '../shared/config/config-error.ts';
import { loadConfig } from '../shared/config/read-config.ts';
import { createLog } from '../shared/log/log.ts';
import { startCoordinator } from './compose.ts';
import { COORDINATOR_OPTIONS, coordinatorRelations } from './config.ts';

/**
 * V8 lets a small heap grow by a third before it marks all of it again, and counts the buffers of
 * requests (some 30 kB each) as growth until the next scavenge. Under load that was a full
 * collection each 400 ms, 40 % of this process's time. Its heap is small by design, so it may be
 * four times what lives in it.
 */
setFlagsFromString('--heap-growing-percent=300');

let log = createLog({ level: 'info', name: 'coordinator' });
let stoppingAtMs = 0;

await runProcess(process, systemClock, {
  start(shutdown) {
    const config = loadConfig(COORDINATOR_OPTIONS, process.env, coordinatorRelations);
    log = createLog({ level: config.logLevel, name: 'coordinator' });
    return startCoordinator(config, { clock: systemClock, random: secureRandom, log }, shutdown);
  },
  stopping(reason) {
    stoppingAtMs = systemClock.monotonicMs();
    log.event('coordinator_stopping', { reason });
  },
  stopped(failures) {
    const ms = systemClock.monotonicMs() - stoppingAtMs;
    log.event('coordinator_stopped', { ms, failures: failures.length, error: failures[0] });
  },
  failed(error) {
    if (error instanceof ConfigError) {
      log.event('config_refused', { problems: error.problems.join('; ') });
    } else if (error instanceof InUse) {
      log.event('already_in_use', { path: error.path, reason: error.message });
    } else {
      log.event('start_failed', { error });
    }
  },
});
