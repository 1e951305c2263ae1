/** The worker's process: settings, signals, exit. */
import { systemClock } from '../shared/base/clock.ts';
import { InUse } from '../shared/base/in-use.ts';
import { secureRandom } from '../shared/base/random.ts';
import { runProcess } from '../shared/base/run-process.ts';
import { ConfigError } from '../shared/config/config-error.ts';
import { loadConfig } from '../shared/config/read-config.ts';
import { createLog } from '../shared/log/log.ts';
import { startWorker } from './compose.ts';
import { WORKER_OPTIONS } from './config.ts';

let log = createLog({ level: 'info', name: 'worker' });
let stoppingAtMs = 0;

await runProcess(process, systemClock, {
  start(shutdown) {
    const config = loadConfig(WORKER_OPTIONS, process.env);
    log = createLog({ level: config.logLevel, name: 'worker' });
    return startWorker(config, { clock: systemClock, random: secureRandom, log }, shutdown);
  },
  stopping(reason) {
    stoppingAtMs = systemClock.monotonicMs();
    log.event('worker_stopping', { reason });
  },
  stopped(failures) {
    const ms = systemClock.monotonicMs() - stoppingAtMs;
    log.event('worker_stopped', { ms, failures: failures.length, error: failures[0] });
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
