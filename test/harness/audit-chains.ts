/** The audit chains of a service, each held against all that was ever anchored of it. */
import assert from 'node:assert/strict';
import { createPublicKey } from 'node:crypto';
import { globSync, readFileSync } from 'node:fs';
import { AdminClient } from '../../scripts/cli/admin/admin-client.ts';
import { readAdminToken } from '../../scripts/cli/env-files.ts';
import { AuditVerifier } from '../../shared/crypto/audit-verifier.ts';
import {
  parseSigned,
  type SignedCheckpoint,
  type SignedHead,
} from '../../shared/crypto/signed-lines.ts';
import type { Service } from './service.ts';

/** How many entries there are. Fails when a chain is broken, has a fork, or lacks what was anchored. */
export async function checkAuditChains(service: Service): Promise<number> {
  const { adminUrl: url, data } = service;
  const admin = new AdminClient({ url, token: readAdminToken(`${data.folder}/bulkhead.env`) });
  const key = createPublicKey(await admin.auditKey());
  const anchors = anchorsIn(data.folder);
  assert.ok(anchors.length > 0, 'something was anchored');
  const clients = (await admin.listClients()).map(({ client_id }) => client_id);
  let count = 0;
  for (const client of [undefined, ...clients]) {
    const verifier = new AuditVerifier(key, anchors);
    for await (const text of admin.exportAudit(client, 0)) {
      for (const line of text.split('\n')) if (line !== '') verifier.take(line);
    }
    const { problem, entries } = verifier.end();
    assert.equal(problem, undefined, `${client ?? 'operators'}: ${JSON.stringify(problem)}`);
    count += entries;
  }
  return count;
}

function anchorsIn(folder: string): (SignedHead | SignedCheckpoint)[] {
  const files = globSync(`${folder}/coordinator/audit-anchors-*.jsonl`);
  const lines = files.flatMap((file) => readFileSync(file, 'utf8').split('\n'));
  return lines.flatMap((line) => {
    return parseSigned('head', line) ?? parseSigned('checkpoint', line) ?? [];
  });
}
