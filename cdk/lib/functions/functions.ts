import { ArnFormat, Duration, Lazy, RemovalPolicy, Stack } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as logs from 'aws-cdk-lib/aws-logs';
import type * as sqs from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { acknowledge } from '../acknowledge';
import { MOUNT_PATH } from '../storage/files';
import { Mounts } from '../storage/mounts';
import type { FunctionKind } from '../storage/roles';
import type { AquiferStorage } from '../storage/storage';
import type { Package, Processor } from './package';
import { type FunctionSize, sizes } from './size';

/** How finely the functions write metrics: see docs/front-doors.md for what each costs. */
export type MetricsDetail = 'full' | 'function' | 'off';

export interface FunctionsProps {
  readonly storage: AquiferStorage;
  /** The functions are called NAME-writer, NAME-search and NAME-reindex. */
  readonly name: string;
  /**
   * The folder of the file system that holds the indexes. Change it to use a backup that was restored beside the old files.
   * @default '/aquifer'
   */
  readonly indexFolder?: string;
  readonly package: Package;
  readonly processor: Processor;
  readonly size?: Partial<Record<FunctionKind, FunctionSize>>;
  readonly metrics: MetricsDetail;
  readonly tracing: boolean;
  readonly logRetention: logs.RetentionDays;
  /** Where invocations go that failed each time. */
  readonly deadLetters: sqs.IQueue;
  /** Further variables, by the function or for all. */
  readonly environment?: Record<string, string>;
}

/** Lambda tries an asynchronous invocation again as often as this. */
const RETRIES = 2;

/** The three functions of Aquifer on one folder of files. */
export class Functions extends Construct {
  readonly writer: lambda.Function;
  readonly search: lambda.Function;
  readonly reindex: lambda.Function;
  private readonly sources: string[] = [];
  private readonly mounts: Mounts;

  constructor(
    scope: Construct,
    id: string,
    private readonly props: FunctionsProps,
  ) {
    super(scope, id);
    const size = sizes(props.size);
    this.mounts = new Mounts(this, 'Mounts', props.storage, props.indexFolder);
    this.writer = this.create('writer', size.writer, 'Takes documents and events into the index');
    this.search = this.create('search', size.search, 'Searches the index');
    this.reindex = this.create('reindex', size.reindex, 'Drains, merges, collects and rebuilds the index');
    for (const fn of [this.writer, this.reindex]) {
      fn.addEnvironment('AQUIFER_SOURCES', Lazy.string({ produce: () => this.sources.join(',') || undefined }));
    }
    if (props.storage.network.handOver !== 'none') {
      this.handOver();
    }
  }

  all(): lambda.Function[] {
    return [this.writer, this.search, this.reindex];
  }

  /** Lets the writer and the reindex function read below a URL such as `s3://bucket/books/`. */
  addSource(url: string) {
    if (!this.sources.includes(url)) {
      this.sources.push(url);
    }
  }

  private create(kind: FunctionKind, size: Required<FunctionSize>, description: string): lambda.Function {
    const { props } = this;
    const { network } = props.storage;
    const id = kind[0]?.toUpperCase() + kind.slice(1);
    const logGroup = new logs.LogGroup(this, `${id}Log`, {
      retention: props.logRetention,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    const fn = new lambda.Function(this, id, {
      functionName: `${props.name}-${kind}`,
      description,
      runtime: lambda.Runtime.PROVIDED_AL2023,
      architecture: props.processor === 'arm64' ? lambda.Architecture.ARM_64 : lambda.Architecture.X86_64,
      handler: 'bootstrap',
      code: lambda.Code.fromAsset(props.package.zip(kind, props.processor)),
      role: this.role(kind, id, logGroup),
      memorySize: size.memoryMiB,
      timeout: size.timeout,
      ephemeralStorageSize: size.scratch,
      reservedConcurrentExecutions: size.concurrency === 'unreserved' ? undefined : size.concurrency,
      vpc: network.vpc,
      vpcSubnets: { subnets: network.subnets },
      securityGroups: [network.clients],
      ipv6AllowedForDualStack: network.handOver === 'dual-stack' || undefined,
      filesystem: this.mounts.of(kind),
      logGroup,
      tracing: props.tracing ? lambda.Tracing.ACTIVE : undefined,
      environment: this.environment(),
    });
    fn.configureAsyncInvoke({ retryAttempts: RETRIES, maxEventAge: Duration.hours(6), onFailure: this.onFailure() });
    return fn;
  }

  private onFailure(): lambda.IDestination {
    const { deadLetters } = this.props;
    return {
      bind: (_scope, fn) => {
        deadLetters.grantSendMessages(fn);
        return { destination: deadLetters.queueArn };
      },
    };
  }

  private environment(): Record<string, string> {
    const { storage, metrics, environment } = this.props;
    const { handOver } = storage.network;
    return {
      AQUIFER_ROOT: MOUNT_PATH,
      AQUIFER_METRICS: metrics,
      ...(handOver === 'dual-stack' ? { AWS_USE_DUALSTACK_ENDPOINT: 'true' } : {}),
      ...environment,
    };
  }

  /**
   * The function's role. It is known here by its name only, so that what is added to it is a policy of this stack. The
   * stack of the files does not refer to this one.
   */
  private role(kind: FunctionKind, id: string, logGroup: logs.ILogGroup): iam.IRole {
    const role = iam.Role.fromRoleName(this, `${id}Role`, this.props.storage.roles.of(kind).roleName);
    role.addToPrincipalPolicy(this.mounts.statement(kind));
    role.addToPrincipalPolicy(
      new iam.PolicyStatement({
        sid: 'Log',
        actions: ['logs:CreateLogStream', 'logs:PutLogEvents'],
        resources: [logGroup.logGroupArn],
      }),
    );
    acknowledge(role, {
      [`AwsSolutions-IAM5[Resource::<${Stack.of(this).getLogicalId(logGroup.node.defaultChild as never)}.Arn>]`]:
        'The ARN of a log group ends in a star, which stands for its streams.',
      ...(this.props.tracing ? { 'AwsSolutions-IAM5[Resource::*]': 'X-Ray knows no resources of these actions.' } : {}),
    });
    return role;
  }

  /** The writer hands long work to the reindex function. */
  private handOver() {
    const name = this.reindex.functionName;
    this.writer.addEnvironment('AQUIFER_REINDEX_FUNCTION', name);
    const { roles } = this.props.storage;
    const policy = new iam.Policy(this, 'HandOver', {
      statements: [
        new iam.PolicyStatement({
          sid: 'HandOver',
          actions: ['lambda:InvokeFunction'],
          resources: [
            Stack.of(this).formatArn({
              service: 'lambda',
              resource: 'function',
              resourceName: `${this.props.name}-reindex`,
              arnFormat: ArnFormat.COLON_RESOURCE_NAME,
            }),
          ],
        }),
      ],
    });
    policy.attachToRole(iam.Role.fromRoleName(this, 'HandOverWriter', roles.of('writer').roleName));
  }
}
