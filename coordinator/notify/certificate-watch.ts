/**
 * Looks once an hour at certificates in PEM files that the settings name, those of the proxy in front for one:
 * operators hear of their end 30 days, 7 days and 1 day before. Of a file with several the first that ends
 * counts. A file that can not be read, or holds none, is logged each time.
 */
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Clock } from '../../shared/base/clock.ts';
import { Repeated } from '../../shared/base/repeated.ts';
import type { Log } from '../../shared/log/log.ts';
import type { Notifier } from './notifier.ts';

export interface CertificateWatchDeps {
  notifier: Pick<Notifier, 'tell'>;
  clock: Clock;
  log: Log;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Days before the end; the smallest that holds is told. */
const EXPIRY_DAYS = [1, 7, 30] as const;
const PEM = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g;

export class CertificateWatch {
  readonly #deps: CertificateWatchDeps;
  readonly #files: readonly string[];
  readonly #looks: Repeated;

  constructor(deps: CertificateWatchDeps, files: readonly string[]) {
    this.#deps = deps;
    this.#files = files;
    this.#looks = new Repeated(deps.clock, HOUR_MS, () => this.look());
  }

  start(): void {
    if (this.#files.length > 0) this.#looks.start(0);
  }

  close(): Promise<void> {
    return this.#looks.close();
  }

  /** Never rejects. */
  async look(): Promise<void> {
    for (const file of this.#files) {
      try {
        this.#judge(file, firstToEnd(await readFile(file, 'utf8')));
      } catch (error) {
        this.#deps.log.event('certificate_unread', { file, error });
      }
    }
  }

  #judge(file: string, { validToDate: ends, fingerprint256 }: X509Certificate): void {
    const leftMs = ends.getTime() - this.#deps.clock.now();
    const days = EXPIRY_DAYS.find((count) => leftMs <= count * DAY_MS);
    if (days === undefined) return;
    this.#deps.notifier.tell({
      type: 'certificate.expiring',
      clientId: null,
      key: `${fingerprint256}:${days}`,
      data: { file, expires_at: ends.toISOString() },
    });
  }
}

/** Throws for a file without a certificate. */
function firstToEnd(text: string): X509Certificate {
  const all = [...text.matchAll(PEM)].map(([pem]) => new X509Certificate(pem));
  const [first] = all.toSorted((a, b) => a.validToDate.getTime() - b.validToDate.getTime());
  if (first === undefined) throw new Error('the file has no certificate');
  return first;
}
