import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { ManualClock } from '../../shared/base/clock.ts';
import type { Notice } from '../../shared/domain/notices.ts';
import { recordingLog } from '../../test/harness/recording-log.ts';
import { temporaryFolder } from '../../test/harness/temporary-folder.ts';
import { TEST_CERTIFICATE, TEST_CERTIFICATE_KEY } from '../../test/harness/test-certificate.ts';
import { CertificateWatch } from './certificate-watch.ts';

const DAY_MS = 86_400_000;

test('operators hear of the end of a certificate 30 days, 7 days and 1 day before', async (t) => {
  const file = path.join(temporaryFolder(t), 'chain.pem');
  writeFileSync(file, `${TEST_CERTIFICATE_KEY}\n${TEST_CERTIFICATE}\n`);
  const ends = new X509Certificate(TEST_CERTIFICATE).validToDate;
  const clock = new ManualClock(ends.getTime() - 31 * DAY_MS);
  const told = new Map<string, Notice>();
  const notifier = {
    tell: (notice: Notice) => {
      const isNew = !told.has(notice.key);
      told.set(notice.key, notice);
      return isNew;
    },
  };
  const { log, saw } = recordingLog();
  const missing = path.join(path.dirname(file), 'none.pem');
  const watch = new CertificateWatch({ notifier, clock, log }, [missing, file]);
  const counts: number[] = [];
  for (let day = 0; day < 33; day += 1) {
    await watch.look();
    counts.push(told.size);
    clock.advance(DAY_MS);
  }
  assert.deepEqual(
    [0, 1, 23, 24, 29, 30, 32].map((day) => counts[day]),
    [0, 1, 1, 2, 2, 3, 3],
  );
  const [notice] = told.values();
  assert.equal(notice?.type, 'certificate.expiring');
  assert.deepEqual(notice.data, { file, expires_at: ends.toISOString() });
  assert.equal(
    saw('certificate_unread').length,
    33,
    'a file that is not there is no reason to be silent',
  );
});

test('a file without a certificate is logged', async (t) => {
  const file = path.join(temporaryFolder(t), 'key.pem');
  writeFileSync(file, TEST_CERTIFICATE_KEY);
  const { log, saw } = recordingLog();
  const notifier = { tell: () => assert.fail('there is nothing to tell') };
  await new CertificateWatch({ notifier, clock: new ManualClock(), log }, [file]).look();
  assert.equal(saw('certificate_unread').length, 1);
});
