import { Duration, Stack } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as lambda from 'aws-cdk-lib/aws-lambda';
import * as scheduler from 'aws-cdk-lib/aws-scheduler';
import { LambdaInvoke } from 'aws-cdk-lib/aws-scheduler-targets';
import type * as sqs from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { acknowledge } from './acknowledge';

export interface MaintenanceScheduleProps {
  readonly reindex: lambda.IFunction;
  /** How long what was answered 202 may wait, and how often merges are looked for. */
  readonly every: Duration;
  /** How often every checksum is verified, which reads every file. @default - never */
  readonly verifyEvery?: Duration;
  /** Where calls go that the scheduler could not deliver. */
  readonly deadLetters: sqs.IQueue;
}

/** How often the scheduler tries to deliver a call. The next one would do the same work. */
const RETRIES = 3;

/** Calls the reindex function again and again: to drain, collect, continue a job and merge, in every index. */
export class MaintenanceSchedule extends Construct {
  private readonly role: iam.Role;

  constructor(scope: Construct, id: string, props: MaintenanceScheduleProps) {
    super(scope, id);
    this.role = this.createRole(props.reindex);
    this.call('Routine', props, props.every, {}, 'Drains, collects, continues jobs and merges in every index of Aquifer');
    if (props.verifyEvery) {
      this.call('Verify', props, props.verifyEvery, { tasks: ['verify'] }, 'Verifies every checksum of Aquifer');
    }
  }

  private createRole(fn: lambda.IFunction): iam.Role {
    const role = new iam.Role(this, 'Role', {
      description: 'Calls the maintenance of Aquifer',
      assumedBy: new iam.ServicePrincipal('scheduler.amazonaws.com', {
        conditions: { StringEquals: { 'aws:SourceAccount': Stack.of(this).account } },
      }),
    });
    const name = Stack.of(this).getLogicalId(fn.node.defaultChild as lambda.CfnFunction);
    acknowledge(role, { [`AwsSolutions-IAM5[Resource::<${name}.Arn>:*]`]: 'The star stands for versions of the one function.' });
    return role;
  }

  private call(id: string, props: MaintenanceScheduleProps, every: Duration, order: object, description: string) {
    new scheduler.Schedule(this, id, {
      schedule: scheduler.ScheduleExpression.rate(every),
      description,
      target: new LambdaInvoke(props.reindex, {
        role: this.role,
        input: scheduler.ScheduleTargetInput.fromObject(order),
        retryAttempts: RETRIES,
        maxEventAge: maxAge(every),
        deadLetterQueue: props.deadLetters,
      }),
    });
  }
}

/** How long the scheduler tries: until the next call, between a minute, which is its least, and an hour. */
function maxAge(every: Duration): Duration {
  return Duration.seconds(Math.min(3600, Math.max(60, every.toSeconds())));
}
