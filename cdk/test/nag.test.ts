import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type App, Stack, Validations } from 'aws-cdk-lib';
import * as s3 from 'aws-cdk-lib/aws-s3';
import { AwsSolutionsChecks } from 'cdk-nag';
import { afterAll, describe, expect, test } from 'vitest';
import { deployment } from '../lib/app';
import { feeds } from './feeds';
import { newApp, VARIANTS } from './fixture';

/** Where the templates are left for cfn-lint: `AQUIFER_TEMPLATES` if it is set. */
const OUT = process.env.AQUIFER_TEMPLATES ?? mkdtempSync(join(tmpdir(), 'aquifer-templates-'));

afterAll(() => {
  if (!process.env.AQUIFER_TEMPLATES) {
    rmSync(OUT, { recursive: true, force: true });
  }
});

/** Synthesises an app under the rules of AWS Solutions. A finding that no one has acknowledged throws. */
function check(app: App) {
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
  app.synth();
}

describe('cdk-nag finds nothing in', () => {
  test.each(Object.entries(VARIANTS))('%s', (name, context) => {
    const app = newApp(context, join(OUT, name));
    deployment(app);
    check(app);
  });

  test('feeding', () => {
    const app = newApp({}, join(OUT, 'feeding'));
    feeds(deployment(app).service);
    check(app);
  });

  test('two environments in one account', () => {
    const app = newApp({}, join(OUT, 'two-environments'));
    deployment(app);
    deployment(app, { name: 'aquifer-staging' });
    check(app);
  });
});

test('cdk-nag is asked: it finds a bucket that anybody may read without TLS', () => {
  const app = newApp({}, join(OUT, '.control'));
  new s3.Bucket(new Stack(app, 'Control'), 'Open');
  expect(() => check(app)).toThrow(/AwsSolutions-S10/);
});
