import { Duration, Stack } from 'aws-cdk-lib';
import type * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import type * as lambda from 'aws-cdk-lib/aws-lambda';
import * as logs from 'aws-cdk-lib/aws-logs';
import type { Construct } from 'constructs';

/** The functions keep to their share of the memory. Above this part of it, something takes more than they count. */
const NEAR = 0.9;

/** The fields of the line with which Lambda ends an invocation, up to the memory that was used. */
const REPORT = [
  'report="REPORT"',
  'id_name',
  'id',
  'duration_name',
  'duration',
  'duration_unit',
  'billed_1',
  'billed_2',
  'billed',
  'billed_unit',
  'memory_1',
  'memory_2',
  'memory',
  'memory_unit',
  'max_1',
  'max_2',
  'max_3',
];

/**
 * How many invocations used nearly all of their memory. Lambda writes that into the log only, so filters count the lines. A
 * filter that matches nothing costs nothing.
 */
export function nearLimit(scope: Construct, functions: lambda.Function[]): cloudwatch.Metric {
  const metric = { metricNamespace: `Aquifer/${Stack.of(scope).stackName}`, metricName: 'MemoryNearLimit' };
  const filters = functions.map((fn) => {
    const memory = (fn.node.defaultChild as lambda.CfnFunction).memorySize ?? 0;
    return new logs.MetricFilter(scope, `${fn.node.id}Memory`, {
      logGroup: fn.logGroup,
      filterPattern: logs.FilterPattern.literal(`[${[...REPORT, `used>=${Math.floor(memory * NEAR)}`, 'used_unit="MB"', '...'].join(', ')}]`),
      ...metric,
      metricValue: '1',
    });
  });
  const [first] = filters;
  if (!first) {
    throw new Error('There is no function to watch.');
  }
  return first.metric({ statistic: 'Sum', period: Duration.minutes(5) });
}
