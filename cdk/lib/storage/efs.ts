import { type CfnResource, RemovalPolicy, Stack } from 'aws-cdk-lib';
import * as efs from 'aws-cdk-lib/aws-efs';
import type * as kms from 'aws-cdk-lib/aws-kms';
import { Construct } from 'constructs';
import { fileSystemPolicy, type Namespace } from './access';
import { type AccessPoint, type Files, FOLDER_MODE, WRITER_ID } from './files';
import { Mount } from './mount';
import type { Network } from './network';

export interface EfsFilesProps {
  readonly network: Network;
  readonly writerArns: string[];
  readonly oneZone: boolean;
  readonly encryptionKey?: kms.IKeyRef;
}

/**
 * Amazon EFS: encrypted, backed up every day, never deleted with its stack.
 *
 * There is no lifecycle policy: a file in Infrequent Access costs tens of milliseconds for each read.
 */
export class EfsFiles extends Construct implements Files {
  readonly namespace: Namespace = 'elasticfilesystem';
  readonly fileSystemId: string;
  readonly fileSystemArn: string;
  readonly mountTargets: CfnResource[];

  constructor(scope: Construct, id: string, props: EfsFilesProps) {
    super(scope, id);
    const fileSystem = this.createFileSystem(props);
    this.fileSystemId = fileSystem.ref;
    this.fileSystemArn = fileSystem.attrArn;
    this.mountTargets = props.network.subnets.map(
      (subnet, at) =>
        new efs.CfnMountTarget(this, `MountTarget${at + 1}`, {
          fileSystemId: this.fileSystemId,
          subnetId: subnet.subnetId,
          securityGroups: [props.network.servers.securityGroupId],
        }),
    );
  }

  /** Whichever access point is used first creates the folder, so all say the same about it. */
  accessPoint(scope: Construct, id: string, path: string, user: string): AccessPoint {
    const { attrArn: arn } = new efs.CfnAccessPoint(scope, id, {
      fileSystemId: this.fileSystemId,
      posixUser: { uid: user, gid: user },
      rootDirectory: {
        path,
        creationInfo: { ownerUid: WRITER_ID, ownerGid: WRITER_ID, permissions: FOLDER_MODE },
      },
    });
    return { arn, mount: (dependency) => new Mount({ arn }, dependency) };
  }

  private createFileSystem(props: EfsFilesProps): efs.CfnFileSystem {
    const fileSystem = new efs.CfnFileSystem(this, 'FileSystem', {
      encrypted: true,
      kmsKeyId: props.encryptionKey?.keyRef.keyArn,
      performanceMode: 'generalPurpose',
      throughputMode: 'elastic',
      availabilityZoneName: props.oneZone ? props.network.zone : undefined,
      // A file system that CloudFormation creates has no backups unless it says so.
      backupPolicy: { status: 'ENABLED' },
      // It can become no destination of a replication, which would overwrite it.
      fileSystemProtection: { replicationOverwriteProtection: 'ENABLED' },
      fileSystemPolicy: fileSystemPolicy(this.namespace, props.writerArns),
      fileSystemTags: [{ key: 'Name', value: Stack.of(this).stackName }],
    });
    fileSystem.applyRemovalPolicy(RemovalPolicy.RETAIN, { applyToUpdateReplacePolicy: true });
    return fileSystem;
  }
}
