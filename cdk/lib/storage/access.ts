import * as iam from 'aws-cdk-lib/aws-iam';

/** The prefix of a file system's actions and condition keys. */
export type Namespace = 'elasticfilesystem' | 's3files';

/**
 * The policy of the file system: it allows nothing and denies three things, whatever a client's own role allows.
 *
 * A file system without a policy of its own lets every client that reaches a mount target write. And one identity policy
 * with a wildcard is enough to make a reader a writer. A deny here wins over both.
 */
export function fileSystemPolicy(namespace: Namespace, writerArns: string[]): iam.PolicyDocument {
  return new iam.PolicyDocument({
    statements: [
      deny('OnlyWritersWrite', [`${namespace}:ClientWrite`], {
        // A client without a role has no such key: then this holds too, and it is denied.
        ArnNotEquals: { 'aws:PrincipalArn': writerArns },
      }),
      deny('NobodyIsRoot', [`${namespace}:ClientRootAccess`]),
      deny('OnlyWithTls', clientActions(namespace), {
        Bool: { 'aws:SecureTransport': 'false' },
      }),
    ],
  });
}

/** What a function's role allows: to mount one access point, and to write through it where the function writes. */
export function mountStatement(
  namespace: Namespace,
  fileSystemArn: string,
  accessPointArn: string,
  writes: boolean,
): iam.PolicyStatement {
  const actions = writes ? ['ClientMount', 'ClientWrite'] : ['ClientMount'];
  return new iam.PolicyStatement({
    sid: 'Mount',
    actions: actions.map((action) => `${namespace}:${action}`),
    resources: [fileSystemArn],
    conditions: { StringEquals: { [`${namespace}:AccessPointArn`]: accessPointArn } },
  });
}

function clientActions(namespace: Namespace): string[] {
  return ['ClientMount', 'ClientWrite', 'ClientRootAccess'].map((action) => `${namespace}:${action}`);
}

function deny(sid: string, actions: string[], conditions?: iam.Conditions): iam.PolicyStatement {
  return new iam.PolicyStatement({
    sid,
    effect: iam.Effect.DENY,
    principals: [new iam.AnyPrincipal()],
    actions,
    conditions,
  });
}
