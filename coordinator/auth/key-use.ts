/**
 * When keys were used last, to the minute: noted in memory, written down together once a minute.
 * What the last minute brought is lost when the process is killed; nothing depends on it.
 */
import type { Clock } from '../../shared/base/clock.ts';
import type { KeyId } from '../../shared/base/ids.ts';
import type { Log } from '../../shared/log/log.ts';
import type { ApiKeysTable } from '../store/api-keys.ts';

const WRITTEN_EVERY_MS = 60_000;

export interface KeyUseDeps {
  store: Pick<ApiKeysTable, 'used'>;
  clock: Clock;
  log: Log;
}

export class KeyUse {
  readonly #deps: KeyUseDeps;
  #noted = new Map<KeyId, number>();
  #cancel: (() => void) | undefined;

  constructor(deps: KeyUseDeps) {
    this.#deps = deps;
  }

  /** `at`: milliseconds since 1970. */
  note(keyId: KeyId, at: number): void {
    this.#noted.set(keyId, at);
    this.#cancel ??= this.#deps.clock.after(WRITTEN_EVERY_MS, () => this.write());
  }

  /** Writes down what was noted. A store that fails costs these notes and is logged. */
  write(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    const noted = this.#noted;
    this.#noted = new Map();
    const { size } = noted;
    if (size === 0) return;
    try {
      this.#deps.store.used(noted);
    } catch (error) {
      this.#deps.log.event('key_use_lost', { keys: size, error });
    }
  }

  close(): void {
    this.write();
  }
}
