import type * as iam from 'aws-cdk-lib/aws-iam';
import type * as lambda from 'aws-cdk-lib/aws-lambda';
import { Construct } from 'constructs';
import { mountStatement } from './access';
import { type AccessPoint, INDEX_FOLDER, READER_ID, WRITER_ID } from './files';
import { type FunctionKind, writes } from './roles';
import type { AquiferStorage } from './storage';

/** EFS takes four names in the path of an access point. */
const FOLDER = /^(\/[\w.:+-]+){1,4}$/;

/**
 * The access points of the functions: one for those that write, and one with a user of its own for the reader.
 *
 * They belong to the functions and not to the files, so that another folder can be mounted, such as a restored backup: one
 * stack cannot replace what another one refers to.
 */
export class Mounts extends Construct {
  private readonly writers: AccessPoint;
  private readonly readers: AccessPoint;

  constructor(
    scope: Construct,
    id: string,
    private readonly storage: AquiferStorage,
    folder: string = INDEX_FOLDER,
  ) {
    super(scope, id);
    if (!FOLDER.test(folder)) {
      throw new Error(`indexFolder is '${folder}': it is a path of one to four names below the root, such as ${INDEX_FOLDER}.`);
    }
    this.writers = storage.files.accessPoint(this, 'Writers', folder, WRITER_ID);
    this.readers = storage.files.accessPoint(this, 'Readers', folder, READER_ID);
  }

  /** How the function mounts the files. */
  of(kind: FunctionKind): lambda.FileSystem {
    return this.accessPoint(kind).mount(this.storage.ready);
  }

  /** What the function's role allows. */
  statement(kind: FunctionKind): iam.PolicyStatement {
    const { namespace, fileSystemArn } = this.storage.files;
    return mountStatement(namespace, fileSystemArn, this.accessPoint(kind).arn, writes(kind));
  }

  private accessPoint(kind: FunctionKind): AccessPoint {
    return writes(kind) ? this.writers : this.readers;
  }
}
