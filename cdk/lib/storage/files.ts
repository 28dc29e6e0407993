import type { CfnResource } from 'aws-cdk-lib';
import type * as lambda from 'aws-cdk-lib/aws-lambda';
import type { Construct, IDependable } from 'constructs';
import type { Namespace } from './access';

/** Where functions see the index. */
export const MOUNT_PATH = '/mnt/aquifer';

/** The folder of the file system that holds the indexes, unless another is named. */
export const INDEX_FOLDER = '/aquifer';

/** User and group of the files. Not root, and none that Amazon Linux gives to a program of its own. */
export const WRITER_ID = '1001';

/** User and group of readers: not the owner of a file, so that its mode 0644 lets them read and no more. */
export const READER_ID = '1002';

/** The folder is written by its owner and read by everybody. */
export const FOLDER_MODE = '0755';

/** A file system that functions mount. */
export interface Files {
  readonly namespace: Namespace;
  readonly fileSystemArn: string;
  readonly fileSystemId: string;
  readonly mountTargets: CfnResource[];
  /** An entry to `folder`, as the user `user`. It is a pointer: made and deleted, it changes no file. */
  accessPoint(scope: Construct, id: string, folder: string, user: string): AccessPoint;
}

export interface AccessPoint {
  readonly arn: string;
  /** How a function mounts it, after `dependency` exists. */
  mount(dependency: IDependable[]): lambda.FileSystem;
}
