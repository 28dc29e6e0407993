import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Package } from '../lib';
import { packageFolder } from './fixture';

test('zips whose checksums are listed are taken', () => {
  const folder = packageFolder();
  const path = new Package(folder).zip('search', 'arm64');
  expect(path).toBe(join(folder, 'aquifer-search-arm64.zip'));
  expect(existsSync(path)).toBe(true);
});

test.each([
  ['a list is missing', (folder: string) => rmSync(join(folder, 'SHA256SUMS')), /SHA256SUMS is missing/],
  ['a zip is missing', (folder: string) => rmSync(join(folder, 'aquifer-search-arm64.zip')), /aquifer-search-arm64.zip is missing/],
  ['a zip was changed', (folder: string) => writeFileSync(join(folder, 'aquifer-search-arm64.zip'), 'x'), /was changed or is incomplete/],
  ['a zip is not listed', (folder: string) => writeFileSync(join(folder, 'SHA256SUMS'), ''), /does not list aquifer-search-arm64.zip/],
  ['a line is damaged', (folder: string) => writeFileSync(join(folder, 'SHA256SUMS'), 'abc  x.zip\n'), /line 1 is no line of sha256sum/],
])('%s: the error says how to build them', (_, damage, message) => {
  const folder = packageFolder();
  damage(folder);
  const take = () => new Package(folder).zip('search', 'arm64');
  expect(take).toThrow(message);
  expect(take).toThrow(/scripts\/package/);
});
