import type { Template } from 'aws-cdk-lib/assertions';
import { resources } from './fixture';

/** A client that asks a file system for something. */
export interface Request {
  readonly action: 'ClientMount' | 'ClientWrite' | 'ClientRootAccess';
  /** The role, or nothing for a client without one. */
  readonly role?: string;
  /** The access point, or nothing for the root of the file system. */
  readonly accessPoint?: string;
  readonly tls: boolean;
}

export interface Statement {
  readonly Sid?: string;
  readonly Effect: 'Allow' | 'Deny';
  readonly Action: string | string[];
  readonly Resource?: unknown;
  readonly Principal?: unknown;
  readonly Condition?: Record<string, Record<string, unknown>>;
}

/** The statements that AWS weighs for a file system: its own, and those of each role. */
export interface Policies {
  readonly namespace: string;
  readonly resource: Statement[];
  readonly identity: Record<string, Statement[]>;
}

/**
 * Whether AWS allows a request: one deny anywhere wins, otherwise one allow anywhere suffices. EFS and S3 Files take an
 * allow from either side.
 */
export function isAllowed(request: Request, policies: Policies): boolean {
  const identity = request.role === undefined ? [] : (policies.identity[request.role] ?? []);
  const matching = [...policies.resource, ...identity].filter((statement) => matches(statement, request, policies.namespace));
  return matching.some(({ Effect }) => Effect === 'Allow') && !matching.some(({ Effect }) => Effect === 'Deny');
}

function matches(statement: Statement, request: Request, namespace: string): boolean {
  const asked = `${namespace}:${request.action}`;
  const covers = list(statement.Action).some((pattern) => like(pattern, asked));
  return covers && Object.entries(statement.Condition ?? {}).every(([operator, keys]) => {
    return Object.entries(keys).every(([key, wanted]) => holds(operator, list(wanted).map(name), value(key, request, namespace)));
  });
}

/** The value of a condition key, or nothing where the request has none. */
function value(key: string, request: Request, namespace: string): string | undefined {
  switch (key) {
    case 'aws:SecureTransport':
      return String(request.tls);
    case 'aws:PrincipalArn':
      return request.role;
    case `${namespace}:AccessPointArn`:
      return request.accessPoint;
    case `${namespace}:AccessedViaMountTarget`:
      return 'true';
    default:
      throw new Error(`The tests do not know the condition key ${key}.`);
  }
}

function holds(operator: string, wanted: string[], found: string | undefined): boolean {
  switch (operator) {
    case 'Bool':
    case 'StringEquals':
    case 'ArnEquals':
      return found !== undefined && wanted.includes(found);
    case 'StringNotEquals':
    case 'ArnNotEquals':
      return found === undefined || !wanted.includes(found);
    default:
      throw new Error(`The tests do not know the condition operator ${operator}.`);
  }
}

function like(pattern: string, text: string): boolean {
  return new RegExp(`^${pattern.replace(/[.+?^${}()|[\]\\]/g, '\\$&').replace(/\*/g, '.*')}$`).test(text);
}

function list(value: unknown): string[] {
  return (Array.isArray(value) ? value : [value]) as string[];
}

/** One name for what templates refer to by Ref, Fn::GetAtt, an import from the other stack, or an ARN of the two. */
export function name(value: unknown): string {
  const text = JSON.stringify(value);
  const parts = text.match(/[A-Za-z0-9:-]*Roles(Writer|Search|Reindex)|Mounts(Writers|Readers)/g);
  const found = parts?.at(-1)?.match(/(Writers|Readers|Writer|Search|Reindex)$/);
  return found?.[0] ?? (typeof value === 'string' ? value : text);
}

/** The statements of both stacks about a file system. */
export function policies(...templates: Template[]): Policies {
  const resource: Statement[] = [];
  const identity: Record<string, Statement[]> = {};
  let namespace = 'elasticfilesystem';
  for (const template of templates) {
    for (const { Properties } of Object.values(resources(template, 'AWS::EFS::FileSystem'))) {
      resource.push(...(Properties.FileSystemPolicy?.Statement ?? DEFAULT_POLICY));
    }
    for (const { Properties } of Object.values(resources(template, 'AWS::S3Files::FileSystemPolicy'))) {
      namespace = 's3files';
      resource.push(...Properties.Policy.Statement);
    }
    for (const { Properties } of Object.values(resources(template, 'AWS::IAM::Policy'))) {
      for (const role of Properties.Roles) {
        identity[name(role)] = [...(identity[name(role)] ?? []), ...Properties.PolicyDocument.Statement];
      }
    }
  }
  return { namespace, resource, identity };
}

/** What EFS does without a policy: whoever reaches a mount target may do everything. */
const DEFAULT_POLICY: Statement[] = [{ Effect: 'Allow', Action: 'elasticfilesystem:Client*', Principal: '*' }];
