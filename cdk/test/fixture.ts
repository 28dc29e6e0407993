import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App, type Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { deployment } from '../lib/app';

/** A zip without an entry: CloudFormation never sees it, and synthesis takes any. */
const EMPTY_ZIP = Buffer.from(`504b0506${'00'.repeat(18)}`, 'hex');

/** A folder as `scripts/package` leaves it, with zips that hold nothing. It is removed when the tests end. */
export function packageFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'aquifer-package-'));
  const lines = [];
  for (const kind of ['writer', 'search', 'reindex']) {
    for (const processor of ['arm64', 'x86_64']) {
      const name = `aquifer-${kind}-${processor}.zip`;
      writeFileSync(join(folder, name), EMPTY_ZIP);
      lines.push(`${createHash('sha256').update(EMPTY_ZIP).digest('hex')}  ${name}\n`);
    }
  }
  writeFileSync(join(folder, 'SHA256SUMS'), lines.join(''));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

const FOLDER = packageFolder();

/** Values on a command line, by the settings of cdk/README.md. */
export type Context = Record<string, string>;

/** The context of cdk.json, with the zips of the tests. */
export function newApp(context: Context = {}, outdir?: string): App {
  const { context: flags } = JSON.parse(readFileSync(join(__dirname, '../cdk.json'), 'utf8'));
  return new App({ outdir, context: { ...flags, package: FOLDER, ...context } });
}

/** Both stacks of an environment. */
export function synthesise(context: Context = {}) {
  const app = newApp(context);
  const stacks = deployment(app);
  return {
    app,
    ...stacks,
    storageTemplate: Template.fromStack(stacks.storage),
    serviceTemplate: Template.fromStack(stacks.service),
  };
}

/** Everything that is deployed in some test: the name of the variant and its settings. */
export const VARIANTS: Record<string, Context> = {
  default: {},
  s3files: { storage: 's3files' },
  'one-zone': { oneZone: 'true' },
  'existing-network': {
    vpcId: 'vpc-0123456789abcdef0',
    subnetIds: 'subnet-0123456789abcdef0,subnet-0123456789abcdef1',
    availabilityZones: 'eu-central-1a,eu-central-1b',
  },
  'rest-api': { frontDoor: 'rest-api', corsOrigins: 'https://www.example.com' },
  'function-url': { frontDoor: 'function-url', searches: 'iam', corsOrigins: 'https://www.example.com' },
  x86_64: { processor: 'x86_64' },
  'dual-stack': { handOver: 'dual-stack' },
  endpoint: { handOver: 'endpoint' },
  operation: { monitoring: 'full', alarmEmail: 'operator@example.com', tracing: 'true', corsOrigins: '*' },
  tokens: { writes: 'jwt', searches: 'jwt', jwtIssuer: 'https://login.example.com', jwtAudience: 'search' },
  'no-reserve': { reserveConcurrency: 'false' },
};

interface Resource {
  readonly Type: string;
  readonly Properties: Record<string, any>;
  readonly DependsOn?: string[];
  readonly DeletionPolicy?: string;
  readonly UpdateReplacePolicy?: string;
}

/** The resources of a type, by their logical names. */
export function resources(template: Template, type: string): Record<string, Resource> {
  return template.findResources(type) as Record<string, Resource>;
}

/** The only resource of a type. */
export function only(template: Template, type: string): Resource & { readonly id: string } {
  const found = Object.entries(resources(template, type));
  if (found.length !== 1 || !found[0]) {
    throw new Error(`There are ${found.length} resources of the type ${type}, and not one.`);
  }
  return { id: found[0][0], ...found[0][1] };
}

/** The functions of a service stack: Writer, Search, Reindex. */
export function functions(template: Template): Record<string, Resource> {
  const found: Record<string, Resource> = {};
  for (const fn of Object.values(resources(template, 'AWS::Lambda::Function'))) {
    found[String(fn.Properties.FunctionName).replace(/^.*-/, '')] = fn;
  }
  return found;
}

export type { Stack };
