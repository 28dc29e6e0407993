import * as lambda from 'aws-cdk-lib/aws-lambda';
import type { IDependable } from 'constructs';
import { MOUNT_PATH } from './files';

type Config = Pick<lambda.FileSystemConfig, 'arn' | '_s3FilesDirectRead'>;

/**
 * A mount that grants nothing. `lambda.FileSystem.fromEfsAccessPoint` and `fromS3FilesAccessPoint` give every function
 * ClientWrite on the whole file system; here the statements of `Mounts` say who may do what.
 */
export class Mount extends lambda.FileSystem {
  constructor(config: Config, dependency: IDependable[]) {
    super({ ...config, localMountPath: MOUNT_PATH, dependency });
  }
}

/** Whether direct reads of S3 Files see a page that was overwritten in place has not been measured: they stay off. */
export function withoutDirectReads(): Pick<Config, '_s3FilesDirectRead'> {
  return { _s3FilesDirectRead: lambda.DirectS3Read.disabled()._mode };
}
