/**
 * Secrets of webhooks: `whsec_` and base64, as Standard Webhooks has them. They are needed in clear to sign
 * with, so they are not digested but sealed, each for its webhook, with a key that follows from the pepper:
 * whoever has `control.db` alone has none of them.
 */
import { hkdfSync } from 'node:crypto';
import { must } from '../../shared/base/assert.ts';
import type { WebhookId } from '../../shared/base/ids.ts';
import type { SecureRandom } from '../../shared/base/random.ts';
import { open, SEAL_KEY_BYTES, seal } from '../../shared/crypto/seal.ts';
import type { WebhookRecord } from '../store/webhooks.ts';

const SECRET_BYTES = 32;
const PREFIX = 'whsec_';

export class WebhookSecrets {
  readonly #key: Buffer;
  readonly #bytes: SecureRandom['bytes'];

  constructor(pepper: string, random: Pick<SecureRandom, 'bytes'>) {
    const key = hkdfSync('sha256', pepper, '', 'bulkhead webhook secrets', SEAL_KEY_BYTES);
    this.#key = Buffer.from(key);
    this.#bytes = random.bytes;
  }

  /** A new one: as it is shown once, and as it is stored. */
  create(webhookId: WebhookId): { shown: string; sealed: Buffer } {
    const secret = this.#bytes(SECRET_BYTES);
    const options = { key: this.#key, context: Buffer.from(webhookId), bytes: this.#bytes };
    return { shown: PREFIX + secret.toString('base64'), sealed: seal(secret, options) };
  }

  /** Those that sign at that time, in clear: the current one, and the one before while it holds. */
  signing(webhook: WebhookRecord, now: number): Buffer[] {
    const { webhookId, secret, oldSecret, oldEndsAt } = webhook;
    const holds = oldSecret !== null && oldEndsAt !== null && now < oldEndsAt;
    const boxes = holds ? [secret, oldSecret] : [secret];
    return boxes.map((box) => {
      const clear = open(box, { key: this.#key, context: Buffer.from(webhookId) });
      return must(clear, 'a secret of a webhook was sealed with this pepper');
    });
  }
}
