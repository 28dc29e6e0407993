import type * as sns from 'aws-cdk-lib/aws-sns';
import { SqsSubscription } from 'aws-cdk-lib/aws-sns-subscriptions';
import { Construct } from 'constructs';
import type { Aquifer } from '../aquifer';
import { QueueFeed } from './queue';

export interface TopicFeedProps {
  readonly aquifer: Aquifer;
  readonly topic: sns.ITopic;
}

/**
 * Indexes the messages of an SNS topic, through a queue: SNS gives each message to a function by itself, where the queue
 * makes one commit of many, tries again one by one, and keeps what fails.
 */
export class TopicFeed extends Construct {
  readonly feed: QueueFeed;

  constructor(scope: Construct, id: string, props: TopicFeedProps) {
    super(scope, id);
    this.feed = new QueueFeed(this, 'Feed', { aquifer: props.aquifer, fifo: props.topic.fifo });
    props.topic.addSubscription(new SqsSubscription(this.feed.queue));
  }
}
