import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { aquifer, SMALL_MAX, total, WORKLOADS } from '../costs/model';
import { PRICES } from '../costs/prices';
import { tables } from '../costs/table';

test('the smallest workload costs less than 5 dollars a month', () => {
  const [small] = WORKLOADS;
  expect(small).toMatchObject({ indexGB: 1, searchesADay: 10_000, postsADay: 1_000 });
  expect(total(aquifer(small as (typeof WORKLOADS)[number]))).toBeLessThan(SMALL_MAX);
});

test('the README has the computed tables: print them with `npm run costs`', () => {
  expect(readFileSync(join(__dirname, '../README.md'), 'utf8')).toContain(tables());
});

test('every price names its source and date', () => {
  for (const { dollars, source, date } of Object.values(PRICES)) {
    expect(dollars).toBeGreaterThan(0);
    expect(source).toMatch(/^https:\/\//);
    expect(date).toMatch(/^20\d\d-\d\d/);
  }
});
