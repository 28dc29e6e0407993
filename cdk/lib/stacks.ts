import { Stack, type StackProps } from 'aws-cdk-lib';
import * as sns from 'aws-cdk-lib/aws-sns';
import { EmailSubscription } from 'aws-cdk-lib/aws-sns-subscriptions';
import type { Construct } from 'constructs';
import { acknowledge } from './acknowledge';
import { Aquifer, type AquiferProps } from './aquifer';
import { showCommands } from './commands';
import { AquiferStorage, type AquiferStorageProps } from './storage/storage';

export type StorageStackProps = AquiferStorageProps & Omit<StackProps, 'terminationProtection'>;

/** The files. The stack is protected from deletion, and the files outlive even that. */
export class StorageStack extends Stack {
  readonly storage: AquiferStorage;

  constructor(scope: Construct, id: string, props: StorageStackProps = {}) {
    super(scope, id, { description: 'Aquifer: the files of the indexes', ...props, terminationProtection: true });
    this.storage = new AquiferStorage(this, 'Storage', props);
    if (!props.network) {
      acknowledge(this.storage.network.vpc, {
        'AwsSolutions-VPC7': 'The network has no route to the internet, and a flow log costs by the gigabyte.',
      });
    }
  }
}

export interface ServiceStackProps extends Omit<AquiferProps, 'alarmTopic'>, StackProps {
  /** Who gets a mail when an alarm changes. @default - nobody */
  readonly alarmEmail?: string;
}

/** Everything that can be deleted and made again: functions, front door, schedule, alarms. */
export class ServiceStack extends Stack {
  readonly aquifer: Aquifer;

  constructor(scope: Construct, id: string, props: ServiceStackProps) {
    super(scope, id, { description: 'Aquifer: full-text search', ...props });
    const alarmTopic = props.alarmEmail ? this.createTopic(props.alarmEmail) : undefined;
    this.aquifer = new Aquifer(this, 'Aquifer', { ...props, alarmTopic });
    showCommands(this, this.aquifer.frontDoor);
  }

  private createTopic(email: string): sns.Topic {
    const topic = new sns.Topic(this, 'AlarmTopic', { enforceSSL: true });
    topic.addSubscription(new EmailSubscription(email));
    return topic;
  }
}
