#!/bin/sh
//bin/true; runtime="$(dirname "$(readlink -f "$0")")/../node_modules/.bin/node"
//bin/true; [ -x "$runtime" ] || runtime=node
//bin/true; "$runtime" -e 'process.exit(+(parseInt(process.versions.node)<24))' || { echo "bulkhead needs Node 24 or newer; run npm ci in its folder, which installs one there" >&2; exit 1; }
//bin/true; exec "$runtime" -- "$0" "$@"
/**
 * The `bulkhead` command. To a shell the lines above are a script that finds the Node which npm
 * installed beside the code (the machine's own may be too old to read TypeScript, and would say
 * so in words that help nobody); to Node they are comments. `node scripts/bulkhead.ts` works too.
 */
import process from 'node:process';

const NODE_MAJOR_MIN = 24;

if (Number.parseInt(process.versions.node, 10) < NODE_MAJOR_MIN) {
  process.stderr.write(
    `bulkhead needs Node ${NODE_MAJOR_MIN} or newer, this is ${process.version}; run npm ci in its ` +
      'folder, which installs one there, then npx bulkhead\n',
  );
  process.exitCode = 1;
} else {
  // Loaded late: an older Node would stop at syntax it does not know before it could say why.
  const { runProgram } = await import('./cli/program.ts');
  process.exitCode = await runProgram(process.argv.slice(2));
}
