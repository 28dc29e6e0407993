import { App, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as efs from 'aws-cdk-lib/aws-efs';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import { describe, expect, test } from 'vitest';
import { resources, synthesise, VARIANTS } from './fixture';
import { isAllowed, type Policies, policies, type Request, type Statement } from './iam';

/** A role with every permission that an account can give. */
const ADMINISTRATOR = 'Administrator';
const EVERYTHING: Statement = { Effect: 'Allow', Action: '*', Resource: '*' };

const ROLES = ['Writer', 'Reindex', 'Search', ADMINISTRATOR, undefined];
const ACCESS_POINTS = ['Writers', 'Readers', 'OfSomebodyElse', undefined];
const ACTIONS = ['ClientMount', 'ClientWrite', 'ClientRootAccess'] as const;

/** Every request there can be, 120 of them. */
const REQUESTS: Request[] = ROLES.flatMap((role) =>
  ACCESS_POINTS.flatMap((accessPoint) => ACTIONS.flatMap((action) => [true, false].map((tls) => ({ role, accessPoint, action, tls })))),
);

/** The only requests that may be allowed. */
function mayBeAllowed({ role, accessPoint, action, tls }: Request): boolean {
  if (!tls || role === undefined || action === 'ClientRootAccess') {
    return false;
  }
  if (role === ADMINISTRATOR) {
    return action === 'ClientMount';
  }
  if (role === 'Search') {
    return action === 'ClientMount' && accessPoint === 'Readers';
  }
  return accessPoint === 'Writers';
}

function wronglyAllowed(all: Policies): Request[] {
  const identity = { ...all.identity, [ADMINISTRATOR]: [EVERYTHING] };
  return REQUESTS.filter((request) => isAllowed(request, { ...all, identity }) && !mayBeAllowed(request));
}

describe.each(Object.entries(VARIANTS))('%s', (_, context) => {
  const { storageTemplate, serviceTemplate } = synthesise(context);
  const all = policies(storageTemplate, serviceTemplate);

  test('nothing lets a reader write, and nobody comes without TLS or as root', () => {
    expect(wronglyAllowed(all)).toEqual([]);
  });

  test('a reader cannot write whatever its role says', () => {
    const identity = { ...all.identity, Search: [EVERYTHING] };
    const written = REQUESTS.filter(({ role, action }) => role === 'Search' && action !== 'ClientMount');
    expect(written.filter((request) => isAllowed(request, { ...all, identity }))).toEqual([]);
  });

  test('every function can do its work', () => {
    const asked = (role: string, accessPoint: string, action: Request['action']) =>
      isAllowed({ role, accessPoint, action, tls: true }, all);
    for (const role of ['Writer', 'Reindex']) {
      expect(asked(role, 'Writers', 'ClientMount') && asked(role, 'Writers', 'ClientWrite')).toBe(true);
    }
    expect(asked('Search', 'Readers', 'ClientMount')).toBe(true);
  });

  test('the reader has an access point and a user of its own', () => {
    const points = ['AWS::EFS::AccessPoint', 'AWS::S3Files::AccessPoint'].flatMap((type) => Object.values(resources(serviceTemplate, type)));
    const users = points.map(({ Properties }) => Properties.PosixUser.Uid);
    expect(points).toHaveLength(2);
    expect(new Set(users).size).toBe(2);
    expect(users).not.toContain('0');
  });
});

describe('the check itself', () => {
  const { storageTemplate, serviceTemplate } = synthesise();
  const all = policies(storageTemplate, serviceTemplate);

  test('each statement of the file system is needed', () => {
    expect(all.resource.map(({ Sid }) => Sid)).toEqual(['OnlyWritersWrite', 'NobodyIsRoot', 'OnlyWithTls']);
    for (const removed of all.resource) {
      const rest = all.resource.filter((statement) => statement !== removed);
      expect(wronglyAllowed({ ...all, resource: rest }), removed.Sid).not.toEqual([]);
    }
  });

  test('the mount of the CDK would let readers write', () => {
    const stack = new Stack(new App(), 'Plain');
    const vpc = new ec2.Vpc(stack, 'Vpc', { natGateways: 0, restrictDefaultSecurityGroup: false });
    const files = new efs.FileSystem(stack, 'Files', { vpc });
    const accessPoint = files.addAccessPoint('MountsReaders');
    new lambda.Function(stack, 'Search', {
      runtime: lambda.Runtime.NODEJS_22_X,
      handler: 'index.handler',
      code: lambda.Code.fromInline('exports.handler = async () => {}'),
      role: new iam.Role(stack, 'RolesSearch', { assumedBy: new iam.ServicePrincipal('lambda.amazonaws.com') }),
      vpc,
      vpcSubnets: { subnetType: ec2.SubnetType.PUBLIC },
      allowPublicSubnet: true,
      filesystem: lambda.FileSystem.fromEfsAccessPoint(accessPoint, '/mnt/files'),
    });
    const wrong = wronglyAllowed(policies(Template.fromStack(stack)));
    expect(wrong).toContainEqual({ role: 'Search', accessPoint: 'Readers', action: 'ClientWrite', tls: true });
  });

  test('a wildcard in a role of a reader would be found', () => {
    const resource: Statement[] = [];
    const identity = { Search: [{ Effect: 'Allow', Action: 'elasticfilesystem:*' } as const] };
    expect(wronglyAllowed({ ...all, resource, identity })).not.toEqual([]);
  });
});
