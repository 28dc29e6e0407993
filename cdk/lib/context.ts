import { Duration } from 'aws-cdk-lib';
import type { FrontDoorKind } from './aquifer';
import type { Authorization } from './front-door/front-door';
import { Package, type Processor } from './functions/package';
import type { FunctionKind } from './storage/roles';
import type { FunctionSize } from './functions/size';
import type { ServiceStackProps, StorageStackProps } from './stacks';
import type { ExistingNetwork, HandOver } from './storage/network';

/** Finds a value of the context: `-c KEY=VALUE` of the command line, or `context` in cdk.json. */
export type Lookup = (key: string) => unknown;

/** What the command line asks for. */
export interface Settings {
  readonly name: string;
  readonly storage: StorageStackProps;
  readonly service: Omit<ServiceStackProps, 'storage'>;
}

const NAME = /^[a-z][a-z0-9-]{0,39}$/;

/** Reads the settings; cdk/README.md has a table of them. */
export function settings(lookup: Lookup): Settings {
  const context = new Context(lookup);
  const name = context.text('name') ?? 'aquifer';
  if (!NAME.test(name)) {
    throw new Error(`The context value name is '${name}': it is 1 to 40 small letters, digits and hyphens, and begins with a letter.`);
  }
  return { name, storage: storage(context), service: service(context, name) };
}

function storage(context: Context): StorageStackProps {
  return {
    storage: context.choice('storage', ['efs', 's3files']),
    oneZone: context.flag('oneZone'),
    handOver: context.choice<HandOver>('handOver', ['none', 'dual-stack', 'endpoint']),
    writerArns: context.list('writerArns'),
    network: network(context),
  };
}

function service(context: Context, name: string): Settings['service'] {
  return {
    name,
    indexFolder: context.text('indexFolder'),
    package: new Package(context.text('package')),
    processor: context.choice<Processor>('processor', ['arm64', 'x86_64']),
    frontDoor: context.choice<FrontDoorKind>('frontDoor', ['http-api', 'rest-api', 'function-url']),
    frontDoorOptions: {
      corsOrigins: context.list('corsOrigins'),
      authorization: {
        search: authorization(context, 'searches'),
        write: authorization(context, 'writes'),
      },
    },
    size: reserved(context),
    maintenanceEvery: minutes(context.number('maintenanceMinutes')),
    monitoring: context.choice('monitoring', ['basic', 'full']),
    alarmEmail: context.text('alarmEmail'),
    runbook: context.text('runbook'),
    tracing: context.flag('tracing'),
    logRetention: context.number('logDays'),
  };
}

function network(context: Context): ExistingNetwork | undefined {
  const vpcId = context.text('vpcId');
  if (!vpcId) {
    return undefined;
  }
  const subnetIds = context.list('subnetIds') ?? [];
  return { vpcId, subnetIds, availabilityZones: context.list('availabilityZones') ?? [] };
}

function authorization(context: Context, key: string): Authorization | undefined {
  const chosen = context.choice(key, ['public', 'iam', 'jwt']);
  if (chosen !== 'jwt') {
    return chosen;
  }
  const issuer = context.text('jwtIssuer');
  const audience = context.list('jwtAudience');
  if (!issuer || !audience) {
    throw new Error(`The context value ${key} is 'jwt': give jwtIssuer and jwtAudience too.`);
  }
  return { issuer, audience };
}

/** An account with a small limit of concurrency has nothing to reserve. */
function reserved(context: Context): Partial<Record<FunctionKind, FunctionSize>> | undefined {
  const concurrency = context.flag('reserveConcurrency') === false ? 'unreserved' : undefined;
  return concurrency && { writer: { concurrency }, search: { concurrency }, reindex: { concurrency } };
}

function minutes(count: number | undefined): Duration | undefined {
  return count === undefined ? undefined : Duration.minutes(count);
}

/** Values of the context, each checked, with an error that names it. */
class Context {
  constructor(private readonly lookup: Lookup) {}

  text(key: string): string | undefined {
    const value = this.lookup(key);
    if (value === undefined || value === null || value === '') {
      return undefined;
    }
    return String(value);
  }

  list(key: string): string[] | undefined {
    const items = this.text(key)?.split(',').map((item) => item.trim()).filter(Boolean);
    return items?.length ? items : undefined;
  }

  choice<T extends string>(key: string, known: readonly T[]): T | undefined {
    const value = this.text(key);
    const found = known.find((one) => one === value);
    if (value !== undefined && !found) {
      throw new Error(`The context value ${key} is '${value}': write one of ${known.join(', ')}.`);
    }
    return found;
  }

  flag(key: string): boolean | undefined {
    const value = this.choice(key, ['true', 'false']);
    return value === undefined ? undefined : value === 'true';
  }

  number(key: string): number | undefined {
    const value = this.text(key);
    if (value !== undefined && !/^[1-9][0-9]{0,4}$/.test(value)) {
      throw new Error(`The context value ${key} is '${value}': write a whole number.`);
    }
    return value === undefined ? undefined : Number(value);
  }
}
