import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { renderDocument } from '../../scripts/docs/render.ts';

const FOLDER = path.join(import.meta.dirname, '../../docs');

for (const name of readdirSync(FOLDER).filter((file) => file.endsWith('.md'))) {
  test(`the tables of docs/${name} are those of the code`, () => {
    const text = readFileSync(path.join(FOLDER, name), 'utf8');
    assert.equal(text, renderDocument(name, text), 'run: npm run docs');
  });
}
