import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { App, Stack } from 'aws-cdk-lib';
import { Match, Template } from 'aws-cdk-lib/assertions';
import { describe, expect, test } from 'vitest';
import { Aquifer, AquiferStorage, Package } from '../lib';
import { sizes } from '../lib/functions/size';
import { functions, only, packageFolder, resources, synthesise, VARIANTS } from './fixture';

describe('the functions', () => {
  const { serviceTemplate } = synthesise();

  test('run the programs of Aquifer', () => {
    const found = functions(serviceTemplate);
    expect(Object.keys(found).sort()).toEqual(['reindex', 'search', 'writer']);
    for (const { Properties } of Object.values(found)) {
      expect(Properties).toMatchObject({ Runtime: 'provided.al2023', Architectures: ['arm64'], Handler: 'bootstrap' });
      expect(Properties.Environment.Variables.AQUIFER_ROOT).toBe(Properties.FileSystemConfigs[0].LocalMountPath);
    }
  });

  test('run on x86-64 too', () => {
    const { serviceTemplate: other } = synthesise({ processor: 'x86_64' });
    for (const { Properties } of Object.values(functions(other))) {
      expect(Properties.Architectures).toEqual(['x86_64']);
    }
  });

  test('are the only ones: nothing runs during a deployment', () => {
    for (const context of Object.values(VARIANTS)) {
      const { storageTemplate, serviceTemplate: service } = synthesise(context);
      service.resourceCountIs('AWS::Lambda::Function', 3);
      for (const template of [storageTemplate, service]) {
        const types = Object.values(template.toJSON().Resources as Record<string, { Type: string }>).map(({ Type }) => Type);
        expect(types.filter((type) => type.startsWith('Custom::') || type === 'AWS::CloudFormation::CustomResource')).toEqual([]);
      }
    }
  });

  test('keep what failed', () => {
    serviceTemplate.resourceCountIs('AWS::Lambda::EventInvokeConfig', 3);
    serviceTemplate.allResourcesProperties('AWS::Lambda::EventInvokeConfig', {
      DestinationConfig: { OnFailure: { Destination: Match.anyValue() } },
    });
  });

  test('reserve fewer environments than the file system takes connections', () => {
    const reserved = Object.values(functions(serviceTemplate)).map(({ Properties }) => Properties.ReservedConcurrentExecutions);
    expect(reserved.reduce((sum, count) => sum + count, 0)).toBeLessThan(25_000);
    expect(() => sizes({ search: { concurrency: 25_000 } })).toThrow(/25000 connections/);
    for (const { Properties } of Object.values(functions(synthesise({ reserveConcurrency: 'false' }).serviceTemplate))) {
      expect(Properties.ReservedConcurrentExecutions).toBeUndefined();
    }
  });

  test('have the memory that was measured at least', () => {
    expect(sizes({ writer: { memoryMiB: undefined } }).writer.memoryMiB).toBe(512);
    expect(() => sizes({ writer: { memoryMiB: 64 } })).toThrow(/writer has 64 MiB of memory: it needs 128/);
  });

  test('hand over only where they reach Lambda', () => {
    for (const fn of Object.values(functions(serviceTemplate))) {
      expect(fn.Properties.Environment.Variables).not.toHaveProperty('AQUIFER_REINDEX_FUNCTION');
    }
    expect(invokers(serviceTemplate)).toEqual([]);
    for (const handOver of ['dual-stack', 'endpoint']) {
      const { serviceTemplate: handing } = synthesise({ handOver });
      const { writer, reindex } = functions(handing);
      expect(JSON.stringify(writer?.Properties.Environment.Variables.AQUIFER_REINDEX_FUNCTION)).toContain('Reindex');
      expect(reindex?.Properties.Environment.Variables).not.toHaveProperty('AQUIFER_REINDEX_FUNCTION');
      expect(JSON.stringify(invokers(handing))).toContain('Writer');
      expect(invokers(handing)).toHaveLength(1);
    }
  });
});

/** The roles of functions that may invoke functions. */
function invokers(template: Template): unknown[] {
  const policies = Object.values(resources(template, 'AWS::IAM::Policy'));
  const invoking = policies.filter(({ Properties }) => JSON.stringify(Properties.PolicyDocument).includes('lambda:InvokeFunction'));
  return invoking.flatMap(({ Properties }) => Properties.Roles).filter((role) => JSON.stringify(role).includes('Roles'));
}

describe('a function waits until it can mount', () => {
  test('across stacks', () => {
    const { app, storage, storageTemplate } = synthesise();
    storageTemplate.resourceCountIs('AWS::EFS::MountTarget', 2);
    storageTemplate.resourceCountIs('AWS::EC2::SecurityGroupIngress', 1);
    const artifact = app.synth().getStackArtifact('aquifer-service');
    expect(artifact.dependencies.map(({ id }) => id)).toContain(storage.artifactId);
  });

  test('in one stack', () => {
    const stack = new Stack(new App(), 'Both');
    const storage = new AquiferStorage(stack, 'Storage');
    new Aquifer(stack, 'Aquifer', { storage, name: 'books', package: new Package(packageFolder()) });
    const template = Template.fromStack(stack);
    const needed = ['AWS::EFS::MountTarget', 'AWS::EC2::SecurityGroupIngress', 'AWS::EC2::SecurityGroupEgress'].flatMap((type) =>
      Object.keys(resources(template, type)),
    );
    expect(needed).toHaveLength(4);
    for (const fn of Object.values(functions(template))) {
      expect(fn.DependsOn).toEqual(expect.arrayContaining(needed));
    }
  });
});

test('the schedule calls the maintenance, tries again, and keeps what it could not deliver', () => {
  const { serviceTemplate } = synthesise({ maintenanceMinutes: '10' });
  const { Properties } = only(serviceTemplate, 'AWS::Scheduler::Schedule');
  expect(Properties.ScheduleExpression).toBe('rate(10 minutes)');
  expect(JSON.stringify(Properties.Target.Arn)).toContain('Reindex');
  expect(Properties.Target.Input).toBe('{}');
  expect(Properties.Target.RetryPolicy).toEqual({ MaximumRetryAttempts: 3, MaximumEventAgeInSeconds: 600 });
  expect(Properties.Target.DeadLetterConfig.Arn).toBeDefined();
});

test('two environments share no name', () => {
  const names = ['aquifer', 'aquifer-staging'].map((name) => {
    const { storage, service, serviceTemplate } = synthesise({ name, monitoring: 'full' });
    const dashboards = Object.values(resources(serviceTemplate, 'AWS::CloudWatch::Dashboard'));
    const used = dashboards.map(({ Properties }) => Properties.DashboardName as string);
    return [storage.stackName, service.stackName, ...used, ...Object.values(functions(serviceTemplate)).map(({ Properties }) => Properties.FunctionName)];
  });
  expect(names.flat()).toHaveLength(12);
  expect(new Set(names.flat()).size).toBe(12);
});

test('everything that can be tagged names its environment', () => {
  const { storageTemplate, serviceTemplate } = synthesise({ name: 'books' });
  const tag = { Key: 'environment', Value: 'books' };
  storageTemplate.hasResourceProperties('AWS::EFS::FileSystem', { FileSystemTags: Match.arrayWith([tag]) });
  serviceTemplate.allResourcesProperties('AWS::Lambda::Function', { Tags: Match.arrayWith([tag]) });
});

test('traces and how long the log is kept are options', () => {
  const { serviceTemplate } = synthesise({ tracing: 'true', logDays: '7' });
  serviceTemplate.allResourcesProperties('AWS::Lambda::Function', { TracingConfig: { Mode: 'Active' } });
  serviceTemplate.allResourcesProperties('AWS::Logs::LogGroup', { RetentionInDays: 7 });
});

test('the README has a row for every setting', () => {
  const source = readFileSync(join(__dirname, '../lib/context.ts'), 'utf8');
  const keys = [...source.matchAll(/context(?:\.\w+(?:<\w+>)?\(|, )'(\w+)'/g)].map((match) => match[1]);
  expect(new Set(keys).size).toBeGreaterThan(20);
  const readme = readFileSync(join(__dirname, '../README.md'), 'utf8');
  const rows = readme.split('\n').filter((line) => line.startsWith('| `')).map((line) => line.split(' | ')[0]);
  for (const key of keys) {
    expect(rows.join('\n')).toContain(`\`${key}\``);
  }
});

test.each([
  ['frontDoor', 'soap', /frontDoor is 'soap': write one of http-api, rest-api, function-url/],
  ['name', 'My Search', /name is 'My Search'/],
  ['oneZone', 'yes', /oneZone is 'yes': write one of true, false/],
  ['maintenanceMinutes', '0', /maintenanceMinutes is '0': write a whole number/],
  ['writes', 'jwt', /give jwtIssuer and jwtAudience too/],
  ['indexFolder', 'aquifer', /indexFolder is 'aquifer'/],
])('the setting %s cannot be %s', (key, value, message) => {
  expect(() => synthesise({ [key]: value })).toThrow(message);
});
