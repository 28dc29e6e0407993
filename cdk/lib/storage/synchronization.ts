import { Stack } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as s3 from 'aws-cdk-lib/aws-s3';
import type { Construct } from 'constructs';
import { acknowledge } from '../acknowledge';

/** The rules of EventBridge that S3 Files makes to learn of changes of the bucket. */
const RULES = 'DO-NOT-DELETE-S3-Files*';

/** The role with which S3 Files keeps the bucket and the file system alike. */
export function synchronizationRole(scope: Construct, bucket: s3.Bucket): iam.Role {
  const { account } = Stack.of(scope);
  const role = new iam.Role(scope, 'Synchronization', {
    description: 'Keeps the bucket and the file system of Aquifer alike',
    assumedBy: new iam.ServicePrincipal('elasticfilesystem.amazonaws.com', {
      conditions: {
        StringEquals: { 'aws:SourceAccount': account },
        ArnLike: { 'aws:SourceArn': Stack.of(scope).formatArn({ service: 's3files', resource: 'file-system', resourceName: '*' }) },
      },
    }),
  });
  const sameAccount = { StringEquals: { 'aws:ResourceAccount': account } };
  role.addToPolicy(
    new iam.PolicyStatement({
      actions: ['s3:ListBucket', 's3:ListBucketVersions'],
      resources: [bucket.bucketArn],
      conditions: sameAccount,
    }),
  );
  role.addToPolicy(
    new iam.PolicyStatement({
      actions: ['s3:AbortMultipartUpload', 's3:DeleteObject*', 's3:GetObject*', 's3:List*', 's3:PutObject*'],
      resources: [bucket.arnForObjects('*')],
      conditions: sameAccount,
    }),
  );
  role.addToPolicy(
    new iam.PolicyStatement({
      actions: ['DeleteRule', 'DisableRule', 'EnableRule', 'PutRule', 'PutTargets', 'RemoveTargets'].map((action) => `events:${action}`),
      resources: [rules(scope)],
      conditions: { StringEquals: { 'events:ManagedBy': 'elasticfilesystem.amazonaws.com' } },
    }),
  );
  role.addToPolicy(
    new iam.PolicyStatement({
      actions: ['DescribeRule', 'ListTargetsByRule'].map((action) => `events:${action}`),
      resources: [rules(scope)],
    }),
  );
  acknowledgeStars(role, bucket);
  return role;
}

function rules(scope: Construct): string {
  return Stack.of(scope).formatArn({ service: 'events', resource: 'rule', resourceName: RULES });
}

/** The permissions are those that the documentation of S3 Files asks for. */
function acknowledgeStars(role: iam.Role, bucket: s3.Bucket) {
  const id = Stack.of(bucket).getLogicalId(bucket.node.defaultChild as s3.CfnBucket);
  const rule = `arn:<AWS::Partition>:events:<AWS::Region>:<AWS::AccountId>:rule/${RULES}`;
  const actions = ['DeleteObject*', 'GetObject*', 'List*', 'PutObject*'].map((action) => `Action::s3:${action}`);
  for (const finding of [...actions, `Resource::<${id}.Arn>/*`, `Resource::${rule}`]) {
    acknowledge(role, { [`AwsSolutions-IAM5[${finding}]`]: 'S3 Files needs it for the objects of this bucket, which holds nothing else.' });
  }
}
