import assert from 'node:assert/strict';
import { it } from 'node:test';
import { parseDatetime } from './datetime.ts';

it('reads what Date.parse reads, in microseconds', () => {
  const texts = [
    '1970-01-01T00:00:00Z',
    '2024-02-29T12:30:00Z',
    '1969-12-31T23:59:59.999Z',
    '0001-01-01T00:00:00Z',
    '9999-12-31T23:59:59Z',
    '2000-03-01T00:00:00+14:00',
    '1900-02-28T23:00:00-05:30',
  ];
  for (const text of texts) assert.equal(parseDatetime(text), Date.parse(text) * 1_000, text);
});

it('keeps microseconds and cuts what is finer', () => {
  assert.equal(parseDatetime('1970-01-01T00:00:00.000001Z'), 1);
  assert.equal(parseDatetime('1970-01-01T00:00:00.1234567Z'), 123_456);
  assert.equal(parseDatetime('1970-01-01T00:00:00.5Z'), 500_000);
});

it('reads the other accepted forms, UTC when no offset is given', () => {
  const noon = Date.parse('2024-05-06T12:00:00Z') * 1_000;
  const forms = [
    '2024-05-06 12:00:00',
    '2024-05-06T12:00:00',
    '2024-05-06 12:00',
    '2024-05-06t12:00:00z',
    '2024-05-06T14:00:00+0200',
    '2024-05-06 14:00:00+02',
    '2024-05-06T12:00:00.000',
  ];
  for (const form of forms) assert.equal(parseDatetime(form), noon, form);
  assert.equal(parseDatetime('2024-05-06'), noon - 12 * 3_600_000_000);
  assert.equal(parseDatetime('2016-12-31T23:59:60Z'), parseDatetime('2017-01-01T00:00:00Z'));
});

it('refuses what is not a date', () => {
  const texts = [
    '',
    'yesterday',
    '2024',
    '2024-1-1',
    '2023-02-29',
    '2024-13-01',
    '2024-00-10',
    '2024-01-00',
    '2024-01-32',
    '2024-01-01T24:00:00Z',
    '2024-01-01T10:60:00Z',
    '2024-01-01T10:00',
    '2024-01-01T10:00:00.Z',
    '2024-01-01T10:00:00+25:00',
    '2024-01-01Z',
    ' 2024-01-01',
    '2024-01-01T10:00:00Z ',
  ];
  for (const text of texts) assert.equal(parseDatetime(text), undefined, text);
});
