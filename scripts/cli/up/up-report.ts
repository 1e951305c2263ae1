/**
 * What `bulkhead up` says while it runs: sentences for people, or one JSON object a line.
 *
 *   {"event":"ready","url","admin_url","env_file","pids":{"coordinator","workers":[]},"key"?}
 *   {"event":"exited","name","pid","code","signal"}      a child ended and will be restarted
 *   {"event":"restarted","name","pid"}                   it is ready again
 *   {"event":"stopping"}  {"event":"stopped"}
 *
 * `key` is there once in the life of an installation. Nothing else here is a secret.
 */
import { type ChildExit, type ChildListener, describeExit } from './supervised-child.ts';

export interface Ready {
  url: string;
  adminUrl: string;
  envFile: string;
  pids: { coordinator: number | undefined; workers: (number | undefined)[] };
  /** The first client's key, when it was made just now. */
  key: string | undefined;
}

export class UpReport implements ChildListener {
  readonly #json: boolean;
  readonly #write: (text: string) => void;

  constructor(options: { json: boolean; write: (text: string) => void }) {
    this.#json = options.json;
    this.#write = options.write;
  }

  ready(ready: Ready): void {
    const { url, adminUrl, envFile, pids, key } = ready;
    const event = { event: 'ready', url, admin_url: adminUrl, env_file: envFile, pids };
    this.#say(key === undefined ? event : { ...event, key }, formatReady(ready));
  }

  exited(name: string, pid: number, exit: ChildExit): void {
    const how = describeExit(exit);
    this.#say({ event: 'exited', name, pid, ...exit }, `${name} ended (${how}); restarting it\n`);
  }

  restarted(name: string, pid: number): void {
    this.#say({ event: 'restarted', name, pid }, `${name} is back\n`);
  }

  stopping(): void {
    this.#say({ event: 'stopping' }, '\nFinishing requests and saving shards...\n');
  }

  stopped(): void {
    this.#say({ event: 'stopped' }, 'Stopped.\n');
  }

  #say(event: object, sentence: string): void {
    this.#write(this.#json ? `${JSON.stringify(event)}\n` : sentence);
  }
}

function formatReady({ url, adminUrl, envFile, pids, key }: Ready): string {
  return `
Bulkhead is ready.

  data API    ${url}    (the Qdrant REST dialect)
  admin API   ${adminUrl}    (token in ${envFile})
  workers     ${pids.workers.length}

${key === undefined ? formatKnown(url) : formatKey(url, key)}
Ctrl-C stops it: requests under way finish and shards are saved. A second Ctrl-C stops it now.
`;
}

function formatKey(url: string, key: string): string {
  return `The first client's API key, shown this once:

  ${key}

Try it:

  curl -s -H 'api-key: ${key}' ${url}/collections
`;
}

function formatKnown(url: string): string {
  return `Try it (a new key: npx bulkhead key create --help):

  curl -s -H "api-key: $BULKHEAD_API_KEY" ${url}/collections
`;
}
