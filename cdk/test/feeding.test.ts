import { Match } from 'aws-cdk-lib/assertions';
import { Template } from 'aws-cdk-lib/assertions';
import { describe, expect, test } from 'vitest';
import { BucketFeed } from '../lib';
import { deployment } from '../lib/app';
import { feeds } from './feeds';
import { functions, newApp, resources } from './fixture';

const { service } = deployment(newApp());
const template = Template.fromStack(feeds(service));
const mappings = Object.values(resources(template, 'AWS::Lambda::EventSourceMapping')).map(({ Properties }) => Properties);
const queues = resources(template, 'AWS::SQS::Queue');

describe('every feed', () => {
  test('is of the writer and reports the records that failed', () => {
    expect(mappings).toHaveLength(6);
    for (const mapping of mappings) {
      expect(JSON.stringify(mapping.FunctionName)).toContain('Writer');
      expect(mapping.FunctionResponseTypes).toEqual(['ReportBatchItemFailures']);
    }
  });

  test('has a dead-letter queue and an alarm for it', () => {
    const streams = mappings.filter(({ StartingPosition }) => StartingPosition);
    expect(streams).toHaveLength(2);
    for (const stream of streams) {
      expect(stream.DestinationConfig.OnFailure.Destination).toBeDefined();
      expect(stream).toMatchObject({ StartingPosition: 'TRIM_HORIZON', MaximumRetryAttempts: 10, BisectBatchOnFunctionError: true });
    }
    const fed = Object.values(queues).filter(({ Properties }) => Properties.RedrivePolicy);
    expect(fed).toHaveLength(4);
    const watched = Object.values(resources(template, 'AWS::CloudWatch::Alarm')).filter(
      ({ Properties }) => Properties.MetricName === 'ApproximateNumberOfMessagesVisible',
    );
    // Four queues, two streams, and the queue of the functions themselves.
    expect(watched).toHaveLength(7);
  });
});

test('a message is hidden for six times as long as the writer may take', () => {
  const timeout = functions(template).writer?.Properties.Timeout;
  for (const { Properties } of Object.values(queues).filter(({ Properties: own }) => own.RedrivePolicy)) {
    expect(Properties.VisibilityTimeout).toBe(6 * timeout);
  }
});

test('the dead letters of a FIFO queue lie in a FIFO queue', () => {
  const fifo = Object.values(queues).filter(({ Properties }) => Properties.FifoQueue === true);
  expect(fifo).toHaveLength(2);
});

test('objects of S3 come through EventBridge, and only they can be read', () => {
  template.hasResourceProperties('AWS::Events::Rule', {
    EventPattern: {
      source: ['aws.s3'],
      detail: { bucket: { name: ['shop'] }, object: { key: Match.arrayWith([{ wildcard: 'books/*.ndjson.gz' }]) } },
    },
  });
  for (const kind of ['writer', 'reindex']) {
    expect(functions(template)[kind]?.Properties.Environment.Variables.AQUIFER_SOURCES).toBe('s3://shop/books/');
  }
  expect(functions(template).search?.Properties.Environment.Variables).not.toHaveProperty('AQUIFER_SOURCES');
  const reading = Object.values(resources(template, 'AWS::IAM::Policy')).filter(({ Properties }) =>
    JSON.stringify(Properties.PolicyDocument).includes('s3:GetObject'),
  );
  expect(reading).toHaveLength(1);
  expect(JSON.stringify(reading[0]?.Properties.Roles)).not.toContain('Search');
});

test('nothing of a feed runs during the deployment', () => {
  template.resourceCountIs('AWS::Lambda::Function', 3);
  const types = Object.values(template.toJSON().Resources as Record<string, { Type: string }>).map(({ Type }) => Type);
  expect(types.filter((type) => type.startsWith('Custom::'))).toEqual([]);
});

test('a table names its key, and another table cannot have another one', () => {
  expect(functions(template).writer?.Properties.Environment.Variables.AQUIFER_DYNAMODB_KEY).toBe('pk,sk');
  expect(() => service.aquifer.setTableKey(['isbn'])).toThrow(/takes 'pk,sk' for the key/);
});

test('a prefix ends in a slash', () => {
  const create = () => new BucketFeed(service, 'Wrong', { aquifer: service.aquifer, bucketName: 'shop', prefix: 'books' });
  expect(create).toThrow(/write 'books\/'/);
});
