import type * as kms from 'aws-cdk-lib/aws-kms';
import { Construct, type IDependable } from 'constructs';
import { EfsFiles } from './efs';
import type { Files } from './files';
import { type ExistingNetwork, type HandOver, Network } from './network';
import { Roles } from './roles';
import { S3Files } from './s3files';

export interface AquiferStorageProps {
  /** @default 'efs' */
  readonly storage?: 'efs' | 's3files';
  /**
   * Whether the files are in one zone: about half the price, and gone if the zone is. With EFS only.
   * @default false
   */
  readonly oneZone?: boolean;
  /** @default - a network of its own, without anything that costs by the hour */
  readonly network?: ExistingNetwork;
  /** @default 'none' */
  readonly handOver?: HandOver;
  /**
   * Roles besides those of the functions that may write the files, as full ARNs.
   * @default - none
   */
  readonly writerArns?: string[];
  /** @default - the account's key for EFS */
  readonly encryptionKey?: kms.IKeyRef;
}

/** The files of the indexes, their network, and the roles that may use them. Give it a stack of its own. */
export class AquiferStorage extends Construct {
  readonly network: Network;
  readonly roles: Roles;
  readonly files: Files;

  constructor(scope: Construct, id: string, props: AquiferStorageProps = {}) {
    super(scope, id);
    const { oneZone = false } = props;
    check(props);
    this.network = new Network(this, 'Network', {
      existing: props.network,
      handOver: props.handOver ?? 'none',
      oneZone,
    });
    this.roles = new Roles(this, 'Roles');
    const writerArns = [...this.roles.writerArns, ...(props.writerArns ?? [])];
    const shared = { network: this.network, writerArns };
    this.files =
      props.storage === 's3files'
        ? new S3Files(this, 'Files', shared)
        : new EfsFiles(this, 'Files', { ...shared, oneZone, encryptionKey: props.encryptionKey });
  }

  /** What must exist before a function can mount: every mount target, the rules of the network, and the roles. */
  get ready(): IDependable[] {
    return [...this.files.mountTargets, this.network.ingress, this.network.clients, this.roles];
  }
}

function check(props: AquiferStorageProps) {
  if (props.storage === 's3files' && props.oneZone) {
    throw new Error("oneZone is an option of EFS: leave it out with storage 's3files'.");
  }
}
