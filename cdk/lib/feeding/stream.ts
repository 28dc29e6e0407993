import { Duration } from 'aws-cdk-lib';
import type * as dynamodb from 'aws-cdk-lib/aws-dynamodb';
import type * as kinesis from 'aws-cdk-lib/aws-kinesis';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import { DynamoEventSource, KinesisEventSource, SqsDlq } from 'aws-cdk-lib/aws-lambda-event-sources';
import { Construct } from 'constructs';
import type { Aquifer } from '../aquifer';
import { deadLetterQueue } from '../dead-letters';

/** One batch is one commit. */
const BATCH = 1000;
/** How long records wait for others to share a commit with. */
const WINDOW = Duration.seconds(5);
/** A shard waits while a record of it fails. After these tries the record goes to the dead-letter queue. */
const TRIES = 10;

function settings(scope: Construct, aquifer: Aquifer) {
  const deadLetters = deadLetterQueue(scope, 'DeadLetters');
  aquifer.watchDeadLetters(scope, deadLetters);
  return {
    startingPosition: lambda.StartingPosition.TRIM_HORIZON,
    batchSize: BATCH,
    maxBatchingWindow: WINDOW,
    retryAttempts: TRIES,
    reportBatchItemFailures: true,
    bisectBatchOnError: true,
    onFailure: new SqsDlq(deadLetters),
  };
}

export interface TableFeedProps {
  readonly aquifer: Aquifer;
  /** A table whose stream has the view type NEW_IMAGE or NEW_AND_OLD_IMAGES. */
  readonly table: dynamodb.ITable;
  /** The attributes that make the `unique_key`, one or two. @default - the attribute `unique_key` */
  readonly key?: readonly string[];
}

/** Indexes the items of a DynamoDB table. */
export class TableFeed extends Construct {
  constructor(scope: Construct, id: string, props: TableFeedProps) {
    super(scope, id);
    if (!props.table.tableStreamArn) {
      throw new Error('The table has no stream: switch it on with the view type NEW_IMAGE.');
    }
    if (props.key) {
      props.aquifer.setTableKey(props.key);
    }
    props.aquifer.functions.writer.addEventSource(new DynamoEventSource(props.table, settings(this, props.aquifer)));
  }
}

export interface StreamFeedProps {
  readonly aquifer: Aquifer;
  /** A stream whose partition key is the key of the document, so that its changes stay in order. */
  readonly stream: kinesis.IStream;
}

/** Indexes the records of a Kinesis stream. */
export class StreamFeed extends Construct {
  constructor(scope: Construct, id: string, props: StreamFeedProps) {
    super(scope, id);
    props.aquifer.functions.writer.addEventSource(new KinesisEventSource(props.stream, settings(this, props.aquifer)));
  }
}
