import { Duration } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import type * as lambda from 'aws-cdk-lib/aws-lambda';
import { Construct } from 'constructs';
import type { Functions } from '../functions/functions';
import { type EmbeddedMetric, embedded } from './embedded';

const PERIOD = Duration.minutes(5);
/** Half of the width of a dashboard. */
const WIDTH = 12;

export interface DashboardProps {
  readonly name: string;
  readonly functions: Functions;
}

/** How searches, posts and the maintenance go, from the metrics that the functions write. */
export class Dashboard extends Construct {
  constructor(scope: Construct, id: string, props: DashboardProps) {
    super(scope, id);
    const { search, writer, reindex } = props.functions;
    const dashboard = new cloudwatch.Dashboard(this, 'Dashboard', { dashboardName: props.name });
    dashboard.addWidgets(
      graph('Searches', [of(search, 'Requests'), of(search, 'Failures'), of(search, 'ColdStart')]),
      graph('Time of a search (ms)', [of(search, 'Time', 'p50'), of(search, 'Time', 'p99'), of(search, 'SearchTime', 'p50')]),
      graph('Answers', [of(search, 'Hits', 'Average'), of(search, 'Refreshes')], [of(search, 'AnswerBytes', 'Average')]),
      graph('Documents', [of(writer, 'Documents'), of(writer, 'Refused'), of(writer, 'Failures')]),
      graph('Commits', [of(writer, 'Commits'), of(writer, 'Fenced')], [of(writer, 'BatchesPerCommit', 'Average')]),
      graph('Time of a commit (ms)', [of(writer, 'CommitTime', 'p50'), of(writer, 'CommitTime', 'p99')]),
      graph('Maintenance', [of(reindex, 'Drained'), of(reindex, 'Merges'), of(reindex, 'Failures'), of(reindex, 'Left'), of(reindex, 'Damaged')]),
      graph('Age of the inbox (ms)', [writer, reindex].map((fn) => of(fn, 'InboxAge', 'Maximum').with({ label: fn.node.id }))),
      graph('Environments', [search, writer, reindex].map((fn) => fn.metric('ConcurrentExecutions', { period: PERIOD, statistic: 'Maximum', label: fn.node.id }))),
    );
  }
}

function of(fn: lambda.Function, name: EmbeddedMetric, statistic = 'Sum'): cloudwatch.Metric {
  return embedded(fn, name, statistic, PERIOD).with({ label: statistic === 'Sum' ? name : `${name} ${statistic}` });
}

function graph(title: string, left: cloudwatch.IMetric[], right: cloudwatch.IMetric[] = []): cloudwatch.GraphWidget {
  return new cloudwatch.GraphWidget({ title, left, right, width: WIDTH });
}
