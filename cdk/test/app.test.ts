import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { type Context, packageFolder } from './fixture';

const FOLDER = join(__dirname, '..');
const { app: COMMAND, context: FLAGS } = JSON.parse(readFileSync(join(FOLDER, 'cdk.json'), 'utf8'));
const OUT = mkdtempSync(join(tmpdir(), 'aquifer-app-'));

/** It starts two processes and the compiler: on a busy machine that takes longer than a test otherwise does. */
const TIMEOUT_MS = 240_000;

afterAll(() => rmSync(OUT, { recursive: true, force: true }));

/** Runs the app as the CDK's command line does. */
function run(context: Context) {
  const json = JSON.stringify({ ...FLAGS, ...context });
  const env = { ...process.env, CDK_OUTDIR: OUT, CDK_CONTEXT_JSON: json };
  return spawnSync('sh', ['-c', COMMAND], { cwd: FOLDER, env, encoding: 'utf8' });
}

test('the command of cdk.json compiles and synthesises both stacks', () => {
  const { status, stderr } = run({ package: packageFolder(), name: 'books' });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  const manifest = JSON.parse(readFileSync(join(OUT, 'manifest.json'), 'utf8'));
  expect(Object.keys(manifest.artifacts)).toEqual(expect.arrayContaining(['books-storage', 'books-service']));
  expect(manifest.artifacts['books-storage'].properties.terminationProtection).toBe(true);
}, TIMEOUT_MS);

test('without zips the error is a sentence that says how to build them, and no stack trace', () => {
  const { status, stderr } = run({ package: OUT });
  expect(status).toBe(1);
  expect(stderr).toContain('Build the zips with `scripts/package`');
  expect(stderr).not.toContain('    at ');
}, TIMEOUT_MS);
