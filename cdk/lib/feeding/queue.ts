import { Duration } from 'aws-cdk-lib';
import { SqsEventSource } from 'aws-cdk-lib/aws-lambda-event-sources';
import * as sqs from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import type { Aquifer } from '../aquifer';
import { deadLetterQueue } from '../dead-letters';

/** One batch is one commit, so the largest that a standard queue gives costs the least for a document. */
const BATCH = 1000;
/** The largest batch of a FIFO queue, which knows no window. */
const FIFO_BATCH = 10;
/** How long messages wait for others to share a commit with. */
const WINDOW = Duration.seconds(5);
/** What AWS recommends: a message is hidden for six times as long as the function may take. */
const VISIBILITY_FACTOR = 6;
/** How often a message is tried before it goes to the dead-letter queue. */
const TRIES = 5;
/** Environments of the writer that a queue may use: what commits one after the other needs few. */
const CONCURRENCY = 2;

export interface QueueFeedProps {
  readonly aquifer: Aquifer;
  /**
   * A queue that exists already. It needs a visibility timeout of six times the writer's timeout, and a dead-letter queue.
   * @default - a new queue with both
   */
  readonly queue?: sqs.IQueue;
  /** Whether a new queue keeps the order of messages. @default false */
  readonly fifo?: boolean;
}

/** Indexes the messages of an SQS queue: docs/events.md says what a message holds. */
export class QueueFeed extends Construct {
  readonly queue: sqs.IQueue;
  /** Of a new queue. */
  readonly deadLetters?: sqs.Queue;

  constructor(scope: Construct, id: string, props: QueueFeedProps) {
    super(scope, id);
    const { writer } = props.aquifer.functions;
    if (props.queue) {
      this.queue = props.queue;
    } else {
      this.deadLetters = props.fifo ? fifoDeadLetters(this) : deadLetterQueue(this, 'DeadLetters');
      this.queue = new sqs.Queue(this, 'Queue', {
        fifo: props.fifo || undefined,
        contentBasedDeduplication: props.fifo || undefined,
        visibilityTimeout: Duration.seconds((writer.timeout ?? Duration.seconds(30)).toSeconds() * VISIBILITY_FACTOR),
        encryption: sqs.QueueEncryption.SQS_MANAGED,
        enforceSSL: true,
        deadLetterQueue: { queue: this.deadLetters, maxReceiveCount: TRIES },
      });
      props.aquifer.watchDeadLetters(this, this.deadLetters);
    }
    writer.addEventSource(
      new SqsEventSource(this.queue, {
        batchSize: this.queue.fifo ? FIFO_BATCH : BATCH,
        maxBatchingWindow: this.queue.fifo ? undefined : WINDOW,
        reportBatchItemFailures: true,
        maxConcurrency: CONCURRENCY,
      }),
    );
  }
}

function fifoDeadLetters(scope: Construct): sqs.Queue {
  const queue = deadLetterQueue(scope, 'DeadLetters');
  const resource = queue.node.defaultChild as sqs.CfnQueue;
  resource.fifoQueue = true;
  return queue;
}
