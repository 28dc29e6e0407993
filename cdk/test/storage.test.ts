import { Annotations, Match, Template } from 'aws-cdk-lib/assertions';
import { App, Stack } from 'aws-cdk-lib';
import { describe, expect, test } from 'vitest';
import { StorageStack } from '../lib';
import { UNTRIED } from '../lib/storage/s3files';
import { functions, only, resources, synthesise, VARIANTS } from './fixture';

describe('EFS', () => {
  const { storage, storageTemplate } = synthesise();

  test('is kept, encrypted, backed up and protected', () => {
    expect(storage.terminationProtection).toBe(true);
    storageTemplate.hasResource('AWS::EFS::FileSystem', {
      DeletionPolicy: 'Retain',
      UpdateReplacePolicy: 'Retain',
      Properties: {
        Encrypted: true,
        ThroughputMode: 'elastic',
        BackupPolicy: { Status: 'ENABLED' },
        FileSystemProtection: { ReplicationOverwriteProtection: 'ENABLED' },
        LifecyclePolicies: Match.absent(),
        AvailabilityZoneName: Match.absent(),
      },
    });
  });

  test('is reached by the functions only', () => {
    const { Properties } = only(storageTemplate, 'AWS::EC2::SecurityGroupIngress');
    expect(Properties).toMatchObject({ IpProtocol: 'tcp', FromPort: 2049, ToPort: 2049 });
    expect(JSON.stringify(Properties.SourceSecurityGroupId)).toContain('Clients');
    for (const { Properties: group } of Object.values(resources(storageTemplate, 'AWS::EC2::SecurityGroup'))) {
      expect(group.SecurityGroupIngress).toBeUndefined();
    }
  });

  test('in one zone has one mount target', () => {
    const { storageTemplate: oneZone } = synthesise({ oneZone: 'true' });
    oneZone.resourceCountIs('AWS::EFS::MountTarget', 1);
    oneZone.hasResourceProperties('AWS::EFS::FileSystem', { AvailabilityZoneName: Match.anyValue() });
  });
});

describe('the network', () => {
  test.each(Object.entries(VARIANTS))('of %s has a mount target in every subnet of a function', (_, context) => {
    const { storageTemplate, serviceTemplate } = synthesise(context);
    const targets = ['AWS::EFS::MountTarget', 'AWS::S3Files::MountTarget'].flatMap((type) => Object.values(resources(storageTemplate, type)));
    const mounted = targets.map(({ Properties }) => JSON.stringify(Properties.SubnetId));
    expect(new Set(mounted).size).toBe(targets.length);
    for (const fn of Object.values(functions(serviceTemplate))) {
      const subnets: unknown[] = fn.Properties.VpcConfig.SubnetIds;
      expect(subnets).toHaveLength(targets.length);
      for (const subnet of subnets) {
        // Another stack names a subnet by an export, which holds its logical name.
        expect(mounted.some((target) => sameSubnet(target, subnet))).toBe(true);
      }
    }
  });

  test('costs nothing by the hour by default', () => {
    const { storageTemplate, serviceTemplate } = synthesise();
    for (const template of [storageTemplate, serviceTemplate]) {
      for (const type of ['NatGateway', 'InternetGateway', 'EIP', 'EgressOnlyInternetGateway']) {
        template.resourceCountIs(`AWS::EC2::${type}`, 0);
      }
    }
    const { Properties } = only(storageTemplate, 'AWS::EC2::VPCEndpoint');
    expect(Properties.VpcEndpointType).toBe('Gateway');
  });

  test('hands over through IPv6', () => {
    const { storageTemplate, serviceTemplate } = synthesise({ handOver: 'dual-stack' });
    storageTemplate.resourceCountIs('AWS::EC2::EgressOnlyInternetGateway', 1);
    storageTemplate.resourceCountIs('AWS::EC2::NatGateway', 0);
    for (const fn of Object.values(functions(serviceTemplate))) {
      expect(fn.Properties.VpcConfig.Ipv6AllowedForDualStack).toBe(true);
      expect(fn.Properties.Environment.Variables.AWS_USE_DUALSTACK_ENDPOINT).toBe('true');
    }
  });

  test('hands over through an endpoint', () => {
    const { storageTemplate } = synthesise({ handOver: 'endpoint' });
    storageTemplate.hasResourceProperties('AWS::EC2::VPCEndpoint', {
      VpcEndpointType: 'Interface',
      ServiceName: { 'Fn::Join': ['', ['com.amazonaws.', { Ref: 'AWS::Region' }, '.lambda']] },
    });
  });

  test('that exists is taken by its attributes', () => {
    const { storageTemplate } = synthesise(VARIANTS['existing-network']);
    storageTemplate.resourceCountIs('AWS::EC2::VPC', 0);
    storageTemplate.resourceCountIs('AWS::EC2::Subnet', 0);
    storageTemplate.resourceCountIs('AWS::EFS::MountTarget', 2);
  });

  test.each([
    [{ subnetIds: [], availabilityZones: [] }, /at least one subnet/],
    [{ subnetIds: ['subnet-1', 'subnet-2'], availabilityZones: ['eu-central-1a'] }, /2 subnets and 1 zones/],
    [{ subnetIds: ['subnet-1', 'subnet-2'], availabilityZones: ['eu-central-1a', 'eu-central-1a'] }, /one mount target in a zone/],
  ])('that cannot be used is refused: %j', (network, message) => {
    const create = () => new StorageStack(new App(), 'Files', { network: { vpcId: 'vpc-1', ...network } });
    expect(create).toThrow(message);
  });
});

describe('S3 Files', () => {
  const { app, storage, storageTemplate, serviceTemplate } = synthesise({ storage: 's3files' });

  test('can be deployed, and says that it was not tried', () => {
    expect(app).toBeDefined();
    expect(Annotations.fromStack(storage).findError('*', Match.anyValue())).toEqual([]);
    Annotations.fromStack(storage).hasWarning('*', Match.stringLikeRegexp(UNTRIED.slice(0, 40)));
  });

  test('keeps a versioned bucket and expires what was replaced', () => {
    storageTemplate.hasResource('AWS::S3::Bucket', {
      DeletionPolicy: 'Retain',
      Properties: {
        VersioningConfiguration: { Status: 'Enabled' },
        LifecycleConfiguration: { Rules: [Match.objectLike({ NoncurrentVersionExpiration: { NoncurrentDays: 7 }, Status: 'Enabled' })] },
      },
    });
    storageTemplate.hasResource('AWS::S3Files::FileSystem', { DeletionPolicy: 'Retain' });
  });

  test('is mounted without direct reads', () => {
    for (const fn of Object.values(functions(serviceTemplate))) {
      expect(fn.Properties.FileSystemConfigs[0].S3FilesConfig.DirectS3Read).toBe('DISABLED');
    }
  });

  test('has no One Zone', () => {
    expect(() => new StorageStack(new App(), 'Files', { storage: 's3files', oneZone: true })).toThrow(/oneZone is an option of EFS/);
  });
});

test('nothing refers from the files to the functions', () => {
  const { app, storage, service } = synthesise();
  expect(service.dependencies).toContain(storage);
  expect(storage.dependencies).toEqual([]);
  expect(app.node.children.filter(Stack.isStack)).toHaveLength(2);
  expect(Template.fromStack(storage).findResources('AWS::Lambda::Function')).toEqual({});
});

/** Whether a reference of the other stack, or a plain name, means the subnet of a mount target. */
function sameSubnet(target: string, subnet: unknown): boolean {
  const own: { Ref?: string } | string = JSON.parse(target);
  const wanted = JSON.stringify(subnet);
  return typeof own === 'string' ? wanted === target : wanted.includes(`Ref${own.Ref}`);
}
