/** Prints every setting of both processes: `node scripts/options.ts`. */
import { COORDINATOR_OPTIONS } from '../coordinator/config.ts';
import { formatHelp } from '../shared/config/format-help.ts';
import { WORKER_OPTIONS } from '../worker/config.ts';

console.log(`# coordinator\n\n${formatHelp(COORDINATOR_OPTIONS)}`);
console.log(`# worker\n\n${formatHelp(WORKER_OPTIONS)}`);
