import * as dynamodb from 'aws-cdk-lib/aws-dynamodb';
import * as kinesis from 'aws-cdk-lib/aws-kinesis';
import * as sns from 'aws-cdk-lib/aws-sns';
import { BucketFeed, QueueFeed, type ServiceStack, StreamFeed, TableFeed, TopicFeed } from '../lib';

/** A feed of every kind, from sources of the same stack. */
export function feeds(service: ServiceStack): ServiceStack {
  const { aquifer } = service;
  new QueueFeed(service, 'Queue', { aquifer });
  new QueueFeed(service, 'Fifo', { aquifer, fifo: true });
  new TopicFeed(service, 'Topic', { aquifer, topic: new sns.Topic(service, 'News', { enforceSSL: true }) });
  new BucketFeed(service, 'Bucket', { aquifer, bucketName: 'shop', prefix: 'books/' });
  const table = new dynamodb.TableV2(service, 'Table', {
    partitionKey: { name: 'pk', type: dynamodb.AttributeType.STRING },
    sortKey: { name: 'sk', type: dynamodb.AttributeType.STRING },
    dynamoStream: dynamodb.StreamViewType.NEW_IMAGE,
    pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
  });
  new TableFeed(service, 'Items', { aquifer, table, key: ['pk', 'sk'] });
  const stream = new kinesis.Stream(service, 'Changes', { encryption: kinesis.StreamEncryption.MANAGED });
  new StreamFeed(service, 'Stream', { aquifer, stream });
  return service;
}
