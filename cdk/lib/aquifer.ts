import { Duration } from 'aws-cdk-lib';
import * as logs from 'aws-cdk-lib/aws-logs';
import type * as sns from 'aws-cdk-lib/aws-sns';
import type * as sqs from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { deadLetterQueue } from './dead-letters';
import type { FrontDoor, FrontDoorOptions } from './front-door/front-door';
import { FunctionUrlDoor } from './front-door/function-url';
import { HttpApiDoor } from './front-door/http-api';
import { RestApiDoor } from './front-door/rest-api';
import { Functions, type FunctionsProps } from './functions/functions';
import { Package, type Processor } from './functions/package';
import { Alarms } from './operation/alarms';
import { Dashboard } from './operation/dashboard';
import { MaintenanceSchedule } from './schedule';

export type FrontDoorKind = 'http-api' | 'rest-api' | 'function-url';

export interface AquiferProps extends Pick<FunctionsProps, 'storage' | 'name' | 'indexFolder' | 'size' | 'environment'> {
  /** @default - the zips in dist/ of this repository */
  readonly package?: Package;
  /** @default 'arm64' */
  readonly processor?: Processor;
  /** @default 'http-api' */
  readonly frontDoor?: FrontDoorKind;
  readonly frontDoorOptions?: FrontDoorOptions;
  /** How often the reindex function is called. @default - every 5 minutes */
  readonly maintenanceEvery?: Duration;
  /** How often every checksum is verified. @default - never */
  readonly verifyEvery?: Duration;
  /**
   * `basic`: alarms over what Lambda measures, which is free. `full`: the functions write metrics of their own, with more
   * alarms and a dashboard; docs/front-doors.md and cdk/README.md say what they cost.
   * @default 'basic'
   */
  readonly monitoring?: 'basic' | 'full';
  /** Who is told of an alarm. @default - nobody */
  readonly alarmTopic?: sns.ITopic;
  /** The address of the runbook that alarms name. @default 'docs/runbook.md' */
  readonly runbook?: string;
  /** Traces in X-Ray. @default false */
  readonly tracing?: boolean;
  /** @default - one month */
  readonly logRetention?: logs.RetentionDays;
}

/** Often enough for what was answered 202, and a few cents a month. */
const MAINTENANCE_EVERY = Duration.minutes(5);

/** The search service on one storage: three functions, a front door, a schedule, and alarms. */
export class Aquifer extends Construct {
  readonly functions: Functions;
  readonly frontDoor: FrontDoor;
  readonly alarms: Alarms;
  /** What failed each time: invocations of the functions, and calls of the scheduler. */
  readonly deadLetters: sqs.Queue;
  private tableKey?: string;

  constructor(scope: Construct, id: string, props: AquiferProps) {
    super(scope, id);
    const { monitoring = 'basic', logRetention = logs.RetentionDays.ONE_MONTH, maintenanceEvery = MAINTENANCE_EVERY } = props;
    this.deadLetters = deadLetterQueue(this, 'DeadLetters');
    this.functions = new Functions(this, 'Functions', {
      ...props,
      package: props.package ?? new Package(),
      processor: props.processor ?? 'arm64',
      metrics: monitoring === 'full' ? 'function' : 'off',
      tracing: props.tracing ?? false,
      logRetention,
      deadLetters: this.deadLetters,
    });
    const { search, writer, reindex } = this.functions;
    this.frontDoor = openDoor(this, props.frontDoor ?? 'http-api', { ...props.frontDoorOptions, search, writer, logRetention });
    new MaintenanceSchedule(this, 'Schedule', {
      reindex,
      every: maintenanceEvery,
      verifyEvery: props.verifyEvery,
      deadLetters: this.deadLetters,
    });
    this.alarms = new Alarms(this, 'Alarms', {
      functions: this.functions,
      deadLetters: this.deadLetters,
      maintenanceEvery,
      topic: props.alarmTopic,
      runbook: props.runbook,
      embedded: monitoring === 'full',
    });
    if (monitoring === 'full') {
      new Dashboard(this, 'Dashboard', { name: props.name, functions: this.functions });
    }
  }

  /** Adds an alarm for a dead-letter queue of a feed. */
  watchDeadLetters(scope: Construct, queue: sqs.IQueue) {
    this.alarms.watchQueue(scope, 'Undelivered', queue);
  }

  /** Names the attributes that are the key of an item of DynamoDB. The writer knows one key for all tables. */
  setTableKey(attributes: readonly string[]) {
    const key = attributes.join(',');
    if (attributes.length < 1 || attributes.length > 2) {
      throw new Error(`A key of DynamoDB has one attribute or two, but '${key}' has ${attributes.length}.`);
    }
    if (this.tableKey !== undefined && this.tableKey !== key) {
      throw new Error(
        `The writer takes '${this.tableKey}' for the key of an item, so another table cannot have '${key}': use a second Aquifer on the same storage.`,
      );
    }
    this.tableKey = key;
    this.functions.writer.addEnvironment('AQUIFER_DYNAMODB_KEY', key);
  }
}

function openDoor(scope: Construct, kind: FrontDoorKind, props: ConstructorParameters<typeof HttpApiDoor>[2]): FrontDoor {
  switch (kind) {
    case 'http-api':
      return new HttpApiDoor(scope, 'HttpApi', props);
    case 'rest-api':
      return new RestApiDoor(scope, 'RestApi', props);
    case 'function-url':
      return new FunctionUrlDoor(scope, 'FunctionUrl', props);
  }
}
