import { Fn, Token } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import { Construct } from 'constructs';

/** The port of NFS, on which EFS and S3 Files listen. */
export const NFS_PORT = 2049;

/** Two zones survive the loss of one; a third would only add a mount target that nobody needs. */
const ZONES = 2;

/**
 * How functions reach the API of Lambda, through which the writer hands long work to the reindex function.
 *
 * - `none`: they do not. The schedule does the work, at no cost for the network.
 * - `dual-stack`: through IPv6 and an egress-only gateway, which costs nothing by the hour.
 * - `endpoint`: through an interface endpoint, which costs by the hour in each zone.
 */
export type HandOver = 'none' | 'dual-stack' | 'endpoint';

/** A network that exists already, by its attributes: looking it up would need an account. */
export interface ExistingNetwork {
  readonly vpcId: string;
  /** Subnets for the functions and the mount targets: at most one in each zone. */
  readonly subnetIds: string[];
  /** The zone of each subnet, in the same order. */
  readonly availabilityZones: string[];
}

export interface NetworkProps {
  readonly existing?: ExistingNetwork;
  readonly handOver: HandOver;
  /** Everything in one zone. */
  readonly oneZone: boolean;
}

/**
 * The network of the functions and the mount targets: isolated subnets, no NAT gateway, and by default nothing that costs
 * by the hour. Files are reached by the members of one security group.
 */
export class Network extends Construct {
  readonly vpc: ec2.IVpc;
  readonly subnets: ec2.ISubnet[];
  /** Of all functions. They share network interfaces, since Lambda shares those by subnet and security group. */
  readonly clients: ec2.SecurityGroup;
  /** Of the mount targets. */
  readonly servers: ec2.SecurityGroup;
  /** Lets `clients` reach `servers`. Functions cannot mount before it exists. */
  readonly ingress: ec2.CfnSecurityGroupIngress;
  readonly handOver: HandOver;

  constructor(scope: Construct, id: string, props: NetworkProps) {
    super(scope, id);
    this.handOver = props.handOver;
    if (props.existing) {
      checkExisting(props.existing, props.oneZone);
      this.vpc = ec2.Vpc.fromVpcAttributes(this, 'Vpc', {
        vpcId: props.existing.vpcId,
        availabilityZones: props.existing.availabilityZones,
        isolatedSubnetIds: props.existing.subnetIds,
      });
      this.subnets = this.vpc.isolatedSubnets;
    } else {
      const vpc = this.createVpc(props);
      this.vpc = vpc;
      this.subnets = props.handOver === 'dual-stack' ? vpc.privateSubnets : vpc.isolatedSubnets;
    }
    this.clients = this.createClients();
    this.servers = new ec2.SecurityGroup(this, 'Servers', {
      vpc: this.vpc,
      description: 'Mount targets of the shared files of Aquifer',
      allowAllOutbound: false,
    });
    this.ingress = this.connect();
    if (props.handOver === 'endpoint') {
      this.createEndpoint();
    }
  }

  private createVpc(props: NetworkProps): ec2.Vpc {
    const dualStack = props.handOver === 'dual-stack';
    return new ec2.Vpc(this, 'Vpc', {
      maxAzs: props.oneZone ? 1 : ZONES,
      natGateways: 0,
      ipProtocol: dualStack ? ec2.IpProtocol.DUAL_STACK : ec2.IpProtocol.IPV4_ONLY,
      // It would take a function that runs during the deployment. Nothing uses the default group.
      restrictDefaultSecurityGroup: false,
      subnetConfiguration: [
        {
          name: 'Aquifer',
          subnetType: dualStack ? ec2.SubnetType.PRIVATE_WITH_EGRESS : ec2.SubnetType.PRIVATE_ISOLATED,
          cidrMask: 24,
        },
      ],
      // S3 is the source of a reindex and of S3 events. A gateway endpoint is free.
      gatewayEndpoints: { S3: { service: ec2.GatewayVpcEndpointAwsService.S3 } },
    });
  }

  private createClients(): ec2.SecurityGroup {
    const clients = new ec2.SecurityGroup(this, 'Clients', {
      vpc: this.vpc,
      description: 'Functions of Aquifer',
      allowAllOutbound: false,
      allowAllIpv6Outbound: false,
    });
    clients.addEgressRule(ec2.Peer.anyIpv4(), ec2.Port.tcp(443), 'S3, and Lambda where there is a route to it');
    if (this.handOver === 'dual-stack') {
      clients.addEgressRule(ec2.Peer.anyIpv6(), ec2.Port.tcp(443), 'Lambda');
    }
    return clients;
  }

  private connect(): ec2.CfnSecurityGroupIngress {
    this.clients.addEgressRule(this.servers, ec2.Port.tcp(NFS_PORT), 'NFS');
    return new ec2.CfnSecurityGroupIngress(this, 'NfsFromClients', {
      groupId: this.servers.securityGroupId,
      sourceSecurityGroupId: this.clients.securityGroupId,
      ipProtocol: 'tcp',
      fromPort: NFS_PORT,
      toPort: NFS_PORT,
      description: 'NFS from the functions of Aquifer',
    });
  }

  private createEndpoint() {
    const group = new ec2.SecurityGroup(this, 'EndpointGroup', {
      vpc: this.vpc,
      description: 'The endpoint of Lambda, for the functions of Aquifer',
      allowAllOutbound: false,
    });
    group.addIngressRule(this.clients, ec2.Port.tcp(443), 'HTTPS from the functions of Aquifer');
    new ec2.InterfaceVpcEndpoint(this, 'LambdaEndpoint', {
      vpc: this.vpc,
      service: ec2.InterfaceVpcEndpointAwsService.LAMBDA,
      subnets: { subnets: this.subnets },
      securityGroups: [group],
      open: false,
    });
  }

  /** The zone of a file system that lives in one zone. */
  get zone(): string {
    return this.subnets[0]?.availabilityZone ?? Fn.select(0, Fn.getAzs());
  }
}

function checkExisting(existing: ExistingNetwork, oneZone: boolean) {
  const { subnetIds, availabilityZones: zones } = existing;
  if (subnetIds.length === 0 || subnetIds.length !== zones.length) {
    throw new Error(
      `The existing network has ${subnetIds.length} subnets and ${zones.length} zones: ` +
        'name at least one subnet, and the zone of each in the same order.',
    );
  }
  const known = zones.filter((zone) => !Token.isUnresolved(zone));
  const twice = known.find((zone, at) => known.indexOf(zone) !== at);
  if (twice) {
    throw new Error(
      `Two subnets of the existing network are in ${twice}: a file system has one mount target in a zone. Name one subnet for each zone.`,
    );
  }
  if (oneZone && subnetIds.length > 1) {
    throw new Error(
      `One Zone storage has one mount target, but the existing network has ${subnetIds.length} subnets: name one.`,
    );
  }
}
