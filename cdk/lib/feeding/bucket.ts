import { Stack } from 'aws-cdk-lib';
import * as events from 'aws-cdk-lib/aws-events';
import { SqsQueue } from 'aws-cdk-lib/aws-events-targets';
import * as iam from 'aws-cdk-lib/aws-iam';
import { Construct } from 'constructs';
import { acknowledge } from '../acknowledge';
import type { Aquifer } from '../aquifer';
import { QueueFeed } from './queue';

/** What the functions read as documents, docs/events.md. */
const SUFFIXES = ['.json', '.ndjson', '.jsonl'].flatMap((suffix) => [suffix, `${suffix}.gz`, `${suffix}.zst`]);

export interface BucketFeedProps {
  readonly aquifer: Aquifer;
  /** A bucket that sends its events to EventBridge. */
  readonly bucketName: string;
  /** The beginning of the keys, such as `books/`. It ends in a slash. */
  readonly prefix: string;
}

/**
 * Indexes the objects below a prefix of a bucket, and deletes the documents of objects that are deleted.
 *
 * The events come through EventBridge: to change the notifications of a bucket itself, the CDK would run a function during
 * the deployment. Switch EventBridge on in the bucket once:
 * `aws s3api put-bucket-notification-configuration --bucket NAME --notification-configuration '{"EventBridgeConfiguration": {}}'`.
 */
export class BucketFeed extends Construct {
  readonly feed: QueueFeed;

  constructor(scope: Construct, id: string, props: BucketFeedProps) {
    super(scope, id);
    const { aquifer, bucketName, prefix } = props;
    if (!prefix.endsWith('/')) {
      throw new Error(`The prefix '${prefix}' of the bucket ${bucketName} does not end in a slash: write '${prefix}/'.`);
    }
    this.feed = new QueueFeed(this, 'Feed', { aquifer });
    new events.Rule(this, 'Changes', {
      description: `Objects of ${bucketName} below ${prefix}, for Aquifer`,
      eventPattern: {
        source: ['aws.s3'],
        detailType: ['Object Created', 'Object Deleted'],
        detail: {
          bucket: { name: [bucketName] },
          object: { key: SUFFIXES.map((suffix) => ({ wildcard: `${prefix}*${suffix}` })) },
        },
      },
      targets: [new SqsQueue(this.feed.queue)],
    });
    aquifer.functions.addSource(`s3://${bucketName}/${prefix}`);
    this.allowReading(props);
  }

  private allowReading({ aquifer, bucketName, prefix }: BucketFeedProps) {
    const { partition } = Stack.of(this);
    const bucket = `arn:${partition}:s3:::${bucketName}`;
    const policy = new iam.Policy(this, 'Read', {
      statements: [
        new iam.PolicyStatement({
          actions: ['s3:GetObject', 's3:GetObjectVersion'],
          resources: [`${bucket}/${prefix}*`],
        }),
        new iam.PolicyStatement({
          actions: ['s3:ListBucket'],
          resources: [bucket],
        }),
      ],
    });
    for (const role of [aquifer.functions.writer.role, aquifer.functions.reindex.role]) {
      if (role) {
        policy.attachToRole(role);
      }
    }
    acknowledge(policy, {
      [`AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:s3:::${bucketName}/${prefix}*]`]: 'The objects below the prefix are what is read.',
    });
  }
}
