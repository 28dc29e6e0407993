import * as iam from 'aws-cdk-lib/aws-iam';
import { Construct } from 'constructs';
import { acknowledge } from '../acknowledge';

/** Which of the three functions a role belongs to. */
export type FunctionKind = 'writer' | 'search' | 'reindex';

export const FUNCTION_KINDS: readonly FunctionKind[] = ['writer', 'search', 'reindex'];

/** Whether the function writes files. The only place that says so. */
export function writes(kind: FunctionKind): boolean {
  return kind !== 'search';
}

const FUNCTION_OF = {
  writer: 'Takes documents into the index of Aquifer',
  search: 'Searches the index of Aquifer, and cannot write it',
  reindex: 'Maintains the index of Aquifer',
};

/**
 * The role of each function. They are made with the files, because the policy of the file system names the roles that may
 * write. What else a function may do is added where the function is made.
 */
export class Roles extends Construct {
  readonly writer: iam.Role;
  readonly search: iam.Role;
  readonly reindex: iam.Role;

  constructor(scope: Construct, id: string) {
    super(scope, id);
    this.writer = this.create('Writer', 'writer');
    this.search = this.create('Search', 'search');
    this.reindex = this.create('Reindex', 'reindex');
  }

  of(kind: FunctionKind): iam.Role {
    return this[kind];
  }

  /** The ARNs of the roles that may write. */
  get writerArns(): string[] {
    return FUNCTION_KINDS.filter(writes).map((kind) => this.of(kind).roleArn);
  }

  private create(id: string, kind: FunctionKind): iam.Role {
    const role = new iam.Role(this, id, {
      assumedBy: new iam.ServicePrincipal('lambda.amazonaws.com'),
      description: FUNCTION_OF[kind],
    });
    role.addToPolicy(
      new iam.PolicyStatement({
        sid: 'NetworkInterfaces',
        actions: [
          'ec2:AssignPrivateIpAddresses',
          'ec2:CreateNetworkInterface',
          'ec2:DeleteNetworkInterface',
          'ec2:DescribeNetworkInterfaces',
          'ec2:DescribeSubnets',
          'ec2:UnassignPrivateIpAddresses',
        ],
        resources: ['*'],
      }),
    );
    acknowledge(role, {
      'AwsSolutions-IAM5[Resource::*]':
        'Lambda creates the network interfaces of a function with its role, and the ARN of an interface is not known before.',
    });
    return role;
  }
}
