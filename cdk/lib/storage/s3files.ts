import { Annotations, type CfnResource, Duration, RemovalPolicy, Stack } from 'aws-cdk-lib';
import * as s3 from 'aws-cdk-lib/aws-s3';
import * as s3files from 'aws-cdk-lib/aws-s3files';
import { Construct } from 'constructs';
import { acknowledge } from '../acknowledge';
import { fileSystemPolicy, type Namespace } from './access';
import { type AccessPoint, type Files, FOLDER_MODE, WRITER_ID } from './files';
import { Mount, withoutDirectReads } from './mount';
import type { Network } from './network';
import { synchronizationRole } from './synchronization';

/** How long S3 keeps what was replaced or deleted: long enough to notice a mistake and restore. */
const NONCURRENT_DAYS = 7;

/** Uploads that nobody finished cost like objects. */
const UPLOAD_DAYS = 1;

const UNTRIED_ID = 'aquifer:s3files-untried';
export const UNTRIED =
  "storage 's3files' has not been tried on AWS: invoke the reindex function with the order of docs/doctor.md before you rely on it.";

export interface S3FilesProps {
  readonly network: Network;
  readonly writerArns: string[];
}

/**
 * Amazon S3 Files: a versioned bucket, mounted through NFS. Nobody has tried an index on it yet, so a deployment should begin with the
 * order `doctor` to the reindex function.
 */
export class S3Files extends Construct implements Files {
  readonly namespace: Namespace = 's3files';
  readonly fileSystemId: string;
  readonly fileSystemArn: string;
  readonly mountTargets: CfnResource[];

  constructor(scope: Construct, id: string, props: S3FilesProps) {
    super(scope, id);
    Annotations.of(this).addWarningV2(UNTRIED_ID, UNTRIED);
    const bucket = this.createBucket();
    const fileSystem = this.createFileSystem(bucket);
    this.fileSystemId = fileSystem.attrFileSystemId;
    this.fileSystemArn = fileSystem.attrFileSystemArn;
    new s3files.CfnFileSystemPolicy(this, 'Policy', {
      fileSystemId: this.fileSystemId,
      policy: fileSystemPolicy(this.namespace, props.writerArns),
    });
    this.mountTargets = props.network.subnets.map(
      (subnet, at) =>
        new s3files.CfnMountTarget(this, `MountTarget${at + 1}`, {
          fileSystemId: this.fileSystemId,
          subnetId: subnet.subnetId,
          securityGroups: [props.network.servers.securityGroupId],
        }),
    );
  }

  accessPoint(scope: Construct, id: string, path: string, user: string): AccessPoint {
    const { attrAccessPointArn: arn } = new s3files.CfnAccessPoint(scope, id, {
      fileSystemId: this.fileSystemId,
      posixUser: { uid: user, gid: user },
      rootDirectory: {
        path,
        creationPermissions: { ownerUid: WRITER_ID, ownerGid: WRITER_ID, permissions: FOLDER_MODE },
      },
    });
    return { arn, mount: (dependency) => new Mount({ arn, ...withoutDirectReads() }, dependency) };
  }

  private createBucket(): s3.Bucket {
    const bucket = new s3.Bucket(this, 'Bucket', {
      versioned: true,
      encryption: s3.BucketEncryption.S3_MANAGED,
      blockPublicAccess: s3.BlockPublicAccess.BLOCK_ALL,
      enforceSSL: true,
      removalPolicy: RemovalPolicy.RETAIN,
      lifecycleRules: [
        {
          noncurrentVersionExpiration: Duration.days(NONCURRENT_DAYS),
          abortIncompleteMultipartUploadAfter: Duration.days(UPLOAD_DAYS),
        },
      ],
    });
    acknowledge(bucket, {
      'AwsSolutions-S1': 'Only the file system uses the bucket. A log of its requests would cost more than it tells.',
    });
    return bucket;
  }

  private createFileSystem(bucket: s3.Bucket): s3files.CfnFileSystem {
    const role = synchronizationRole(this, bucket);
    const fileSystem = new s3files.CfnFileSystem(this, 'FileSystem', {
      bucket: bucket.bucketArn,
      roleArn: role.roleArn,
      tags: [{ key: 'Name', value: Stack.of(this).stackName }],
    });
    const policy = role.node.tryFindChild('DefaultPolicy');
    if (policy) {
      fileSystem.node.addDependency(policy);
    }
    fileSystem.applyRemovalPolicy(RemovalPolicy.RETAIN, { applyToUpdateReplacePolicy: true });
    return fileSystem;
  }
}
