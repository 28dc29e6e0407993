import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Match } from 'aws-cdk-lib/assertions';
import { describe, expect, test } from 'vitest';
import { resources, synthesise, VARIANTS } from './fixture';

const ROOT = join(__dirname, '../..');
const RUNBOOK = readFileSync(join(ROOT, 'docs/runbook.md'), 'utf8');
const SECTIONS = [...RUNBOOK.matchAll(/^## (.+)$/gm)].map((match) => match[1]?.toLowerCase().replaceAll(' ', '-'));

const { serviceTemplate: basic } = synthesise();
const { serviceTemplate: full } = synthesise(VARIANTS.operation);

/** The source of the functions, where the names of their metrics stand. */
function source(folder: string): string {
  const entries = readdirSync(folder, { withFileTypes: true });
  return entries.map((entry) => (entry.isDirectory() ? source(join(folder, entry.name)) : readFileSync(join(folder, entry.name), 'utf8'))).join('\n');
}

describe('alarms', () => {
  test.each([
    ['basic', basic],
    ['full', full],
  ])('of %s link to a section of the runbook', (_, template) => {
    for (const [name, { Properties }] of Object.entries(resources(template, 'AWS::CloudWatch::Alarm'))) {
      const section = /docs\/runbook\.md#([a-z-]+)$/.exec(JSON.stringify(Properties.AlarmDescription).replace(/[^a-z-]+$/, ''))?.[1];
      expect(SECTIONS, name).toContain(section);
    }
  });

  test('exist for each kind of trouble', () => {
    const descriptions = (template: typeof full) => JSON.stringify(resources(template, 'AWS::CloudWatch::Alarm'));
    // These need metrics of the functions, or have no alarm.
    const others = ['fenced-writers', 'old-inbox', 'damaged-files'];
    for (const section of SECTIONS.filter((section) => !others.includes(section ?? ''))) {
      expect(descriptions(basic)).toContain(`#${section}`);
    }
    expect(descriptions(full)).toContain('#fenced-writers');
  });

  test('of basic use nothing that costs: 10 alarms and metrics of AWS', () => {
    basic.resourceCountIs('AWS::CloudWatch::Alarm', 10);
    basic.resourceCountIs('AWS::CloudWatch::Dashboard', 0);
    expect(JSON.stringify(resources(basic, 'AWS::CloudWatch::Alarm'))).not.toContain('"Namespace":"Aquifer"');
    basic.allResourcesProperties('AWS::Lambda::Function', { Environment: { Variables: { AQUIFER_METRICS: 'off' } } });
  });

  test('an inbox that nobody drains is an alarm, also where there is no number at all', () => {
    basic.hasResourceProperties('AWS::CloudWatch::Alarm', {
      MetricName: 'Invocations',
      ComparisonOperator: 'LessThanThreshold',
      TreatMissingData: 'breaching',
      Period: 900,
    });
  });

  test('a batch that three rounds have left in the inbox is an alarm, whichever function finds it', () => {
    const { serviceTemplate } = synthesise({ ...VARIANTS.operation, maintenanceMinutes: '10' });
    const alarms = Object.values(resources(serviceTemplate, 'AWS::CloudWatch::Alarm')).map(({ Properties }) => Properties);
    const alarm = alarms.find(({ AlarmDescription }) => JSON.stringify(AlarmDescription).includes('#old-inbox'));
    expect(alarm).toMatchObject({ Threshold: 1_800_000, ComparisonOperator: 'GreaterThanOrEqualToThreshold', TreatMissingData: 'notBreaching' });
    const found = alarm?.Metrics.filter(({ MetricStat }: { MetricStat?: object }) => MetricStat);
    expect(found).toHaveLength(2);
    for (const kind of ['Writer', 'Reindex']) {
      const metric = found.find(({ MetricStat }: { MetricStat: object }) => JSON.stringify(MetricStat).includes(kind));
      expect(metric.MetricStat).toMatchObject({ Metric: { Namespace: 'Aquifer', MetricName: 'InboxAge' }, Period: 1800, Stat: 'Maximum' });
    }
  });

  test('memory near its limit is counted from the lines of Lambda', () => {
    const filters = Object.values(resources(basic, 'AWS::Logs::MetricFilter')).map(({ Properties }) => Properties);
    expect(filters.map(({ FilterPattern }) => FilterPattern.match(/used>=(\d+)/)[1]).sort()).toEqual(['460', '460', '921']);
    const alarms = Object.values(resources(basic, 'AWS::CloudWatch::Alarm')).map(({ Properties }) => Properties);
    const [alarm] = alarms.filter(({ MetricName }) => MetricName === 'MemoryNearLimit');
    expect(alarm?.Namespace).toEqual(filters[0]?.MetricTransformations[0].MetricNamespace);
  });

  test('are sent to an address', () => {
    full.hasResourceProperties('AWS::SNS::Subscription', { Protocol: 'email', Endpoint: 'operator@example.com' });
    full.allResourcesProperties('AWS::CloudWatch::Alarm', { AlarmActions: [Match.anyValue()], OKActions: [Match.anyValue()] });
  });
});

test('the pattern for the memory fits the line that Lambda writes', () => {
  // A line as in the documentation of Lambda, and the number of its fields before the memory that was used.
  const line = 'REPORT RequestId: 1a2b Duration: 12.34 ms Billed Duration: 13 ms Memory Size: 512 MB Max Memory Used: 470 MB Init Duration: 20.01 ms';
  const [filter] = Object.values(resources(basic, 'AWS::Logs::MetricFilter'));
  const fields: string[] = filter?.Properties.FilterPattern.slice(1, -1).split(', ');
  const at = fields.findIndex((field) => field.startsWith('used>='));
  expect(line.split(/\s+/)[at]).toBe('470');
});

test('every metric that is shown is one that the functions write', () => {
  const written = source(join(ROOT, 'functions/src/lambda'));
  const dashboard = JSON.stringify(resources(full, 'AWS::CloudWatch::Dashboard'));
  const shown = [...dashboard.matchAll(/\\"Aquifer\\",\\"(\w+)\\"/g)].map((match) => match[1]);
  const alarms = Object.values(resources(full, 'AWS::CloudWatch::Alarm')).map(({ Properties }) => Properties);
  const combined = alarms.flatMap(({ Metrics }) => Metrics ?? []).flatMap(({ MetricStat }) => MetricStat?.Metric ?? []);
  const alarmed = [...alarms, ...combined].filter(({ Namespace }) => Namespace === 'Aquifer');
  const names = new Set([...shown, ...alarmed.map(({ MetricName }) => MetricName)]);
  expect(names.size).toBeGreaterThan(14);
  for (const name of names) {
    expect(written).toMatch(new RegExp(`["(]"?${name}"`));
  }
  expect(written).toContain('NAMESPACE: &str = "Aquifer"');
});
