import type { Duration } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import type * as lambda from 'aws-cdk-lib/aws-lambda';

/** The namespace of the metrics that the functions write into their log, functions/src/lambda/metrics.rs. */
export const NAMESPACE = 'Aquifer';

/** Metrics of the functions that alarms and the dashboard use. A test compares them with the functions' source. */
export type EmbeddedMetric =
  | 'AnswerBytes'
  | 'BatchesPerCommit'
  | 'ColdStart'
  | 'CommitTime'
  | 'Commits'
  | 'Damaged'
  | 'Documents'
  | 'Drained'
  | 'Failures'
  | 'Fenced'
  | 'Hits'
  | 'InboxAge'
  | 'Left'
  | 'Merges'
  | 'Refreshes'
  | 'Refused'
  | 'Requests'
  | 'SearchTime'
  | 'Time';

/** A metric of one function. */
export function embedded(fn: lambda.IFunction, name: EmbeddedMetric, statistic: string, period: Duration): cloudwatch.Metric {
  return new cloudwatch.Metric({
    namespace: NAMESPACE,
    metricName: name,
    dimensionsMap: { FunctionName: fn.functionName },
    statistic,
    period,
  });
}
