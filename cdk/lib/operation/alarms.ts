import { Duration, Stack } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import type * as lambda from 'aws-cdk-lib/aws-lambda';
import type * as sns from 'aws-cdk-lib/aws-sns';
import type * as sqs from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import type { Functions } from '../functions/functions';
import { FUNCTION_KINDS } from '../storage/roles';
import { embedded } from './embedded';
import { nearLimit } from './memory';

/** Sections of docs/runbook.md. Each alarm names the one that says what to do. */
export type RunbookSection =
  | 'errors'
  | 'throttles'
  | 'slow-commits'
  | 'fenced-writers'
  | 'old-inbox'
  | 'maintenance-does-not-run'
  | 'failed-maintenance'
  | 'undelivered-events'
  | 'memory-near-its-limit';

/** Where the runbook is, unless a team keeps its own copy. */
export const RUNBOOK = 'docs/runbook.md';

/** What a post takes when nothing is wrong is far below this; a request ends after 25 seconds. */
const SLOW_COMMIT = Duration.seconds(5);

/** A writer that is fenced has only repeated work. Many in a quarter of an hour mean that writers are frozen or starved. */
const FENCED_MAX = 10;

/**
 * Rounds that may be missing, or leave a batch in the inbox, before somebody should look: one is retried by the scheduler, and one
 * may find the lock taken.
 */
const ROUNDS_MISSING = 3;

const PERIOD = Duration.minutes(5);
const LONG_PERIOD = Duration.minutes(15);

export interface AlarmsProps {
  readonly functions: Functions;
  readonly deadLetters: sqs.IQueue;
  readonly maintenanceEvery: Duration;
  /** Who is told. @default - nobody */
  readonly topic?: sns.ITopic;
  /** @default 'docs/runbook.md' */
  readonly runbook?: string;
  /** Whether the functions write metrics of their own. Without them the alarms use what Lambda measures, which is free. */
  readonly embedded: boolean;
}

type Watch = Pick<cloudwatch.AlarmProps, 'threshold' | 'comparisonOperator' | 'treatMissingData'>;

/** What should wake somebody. */
export class Alarms extends Construct {
  constructor(
    scope: Construct,
    id: string,
    private readonly props: AlarmsProps,
  ) {
    super(scope, id);
    for (const kind of FUNCTION_KINDS) {
      this.watchFunction(kind, props.functions[kind]);
    }
    this.watchCommits();
    this.watchMaintenance();
    this.watchQueue(this, 'Undelivered', props.deadLetters);
    const memory = nearLimit(this, props.functions.all());
    this.alarm(this, 'Memory', 'memory-near-its-limit', 'A function used more than nine tenths of its memory', memory);
  }

  /** An alarm that something lies in a dead-letter queue. */
  watchQueue(scope: Construct, id: string, queue: sqs.IQueue) {
    const metric = queue.metricApproximateNumberOfMessagesVisible({ period: PERIOD, statistic: 'Maximum' });
    this.alarm(scope, id, 'undelivered-events', 'Something failed each time it was tried, and waits in a dead-letter queue', metric);
  }

  private watchFunction(kind: (typeof FUNCTION_KINDS)[number], fn: lambda.Function) {
    const id = kind[0]?.toUpperCase() + kind.slice(1);
    const section = kind === 'reindex' ? 'failed-maintenance' : 'errors';
    const errors = fn.metricErrors({ period: PERIOD });
    this.alarm(this, `${id}Errors`, section, `Invocations of the ${kind} function failed`, errors);
    const throttles = fn.metricThrottles({ period: PERIOD });
    this.alarm(this, `${id}Throttles`, 'throttles', `The ${kind} function had no environment for an invocation`, throttles);
    if (this.props.embedded && kind !== 'reindex') {
      const failures = embedded(fn, 'Failures', 'Sum', PERIOD);
      this.alarm(this, `${id}Failures`, 'errors', `The ${kind} function answered with a status of 5xx`, failures);
    }
  }

  private watchCommits() {
    const { writer } = this.props.functions;
    const time = this.props.embedded
      ? embedded(writer, 'CommitTime', 'p90', PERIOD)
      : writer.metricDuration({ period: PERIOD, statistic: 'p90' });
    this.alarm(this, 'SlowCommits', 'slow-commits', `One post in ten takes over ${SLOW_COMMIT.toSeconds()} s`, time, {
      threshold: SLOW_COMMIT.toMilliseconds(),
    });
    if (this.props.embedded) {
      const fenced = embedded(writer, 'Fenced', 'Sum', LONG_PERIOD);
      this.alarm(this, 'Fenced', 'fenced-writers', 'Writers lose their lock while they work', fenced, { threshold: FENCED_MAX });
    }
  }

  /**
   * What was answered 202 waits in the inbox for the next round. A missing round is an alarm of its own, since no round means no
   * metric of the age.
   */
  private watchMaintenance() {
    const { functions, maintenanceEvery } = this.props;
    const seconds = Math.max(maintenanceEvery.toSeconds() * ROUNDS_MISSING, LONG_PERIOD.toSeconds());
    const period = Duration.seconds(Math.ceil(seconds / 60) * 60);
    const rounds = functions.reindex.metricInvocations({ period });
    this.alarm(this, 'NoMaintenance', 'maintenance-does-not-run', `No maintenance in ${period.toHumanString()}: the inbox is not drained`, rounds, {
      threshold: 1,
      comparisonOperator: cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
      treatMissingData: cloudwatch.TreatMissingData.BREACHING,
    });
    if (this.props.embedded) {
      this.alarm(this, 'InboxAge', 'old-inbox', `A batch has waited in the inbox for ${period.toHumanString()}`, inboxAge(functions, period), {
        threshold: period.toMilliseconds(),
      });
      const failed = embedded(functions.reindex, 'Failures', 'Sum', PERIOD);
      this.alarm(this, 'FailedTasks', 'failed-maintenance', 'A task of the maintenance failed', failed);
    }
  }

  private alarm(scope: Construct, id: string, section: RunbookSection, what: string, metric: cloudwatch.IMetric, watch: Partial<Watch> = {}) {
    const { topic, runbook = RUNBOOK } = this.props;
    const alarm = new cloudwatch.Alarm(scope, id, {
      alarmDescription: `${what} (${Stack.of(this).stackName}). What to do: ${runbook}#${section}`,
      metric,
      threshold: 1,
      comparisonOperator: cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
      treatMissingData: cloudwatch.TreatMissingData.NOT_BREACHING,
      evaluationPeriods: 1,
      ...watch,
    });
    if (topic) {
      alarm.addAlarmAction(new SnsAction(topic));
      alarm.addOkAction(new SnsAction(topic));
    }
  }
}

/**
 * Milliseconds that the oldest batch had waited, as the writer or the reindex function found it. One that does not run writes no
 * number, which counts as none waiting.
 */
function inboxAge(functions: Functions, period: Duration): cloudwatch.MathExpression {
  const { writer, reindex } = functions;
  return new cloudwatch.MathExpression({
    expression: 'MAX([FILL(writer, 0), FILL(reindex, 0)])',
    usingMetrics: {
      writer: embedded(writer, 'InboxAge', 'Maximum', period),
      reindex: embedded(reindex, 'InboxAge', 'Maximum', period),
    },
    label: 'InboxAge',
    period,
  });
}
