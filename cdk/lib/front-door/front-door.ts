import type * as lambda from 'aws-cdk-lib/aws-lambda';
import type * as logs from 'aws-cdk-lib/aws-logs';
import type { Access } from './routes';

/** Who may call a route. */
export type Authorization =
  /** Everybody. */
  | 'public'
  /** Whoever signs the request with credentials of AWS that allow it. */
  | 'iam'
  /** Whoever has a token of this issuer for one of these audiences. With an HTTP API only. */
  | { readonly issuer: string; readonly audience: string[] };

export interface FrontDoorOptions {
  /** @default - 'iam' for writes, 'public' for searches */
  readonly authorization?: Partial<Record<Access, Authorization>>;
  /** Origins of web pages that may call it. @default - none */
  readonly corsOrigins?: string[];
  /** Requests a second that are let through. Function URLs have no such limit. */
  readonly throttle?: { readonly rate: number; readonly burst: number };
}

export interface FrontDoorProps extends FrontDoorOptions {
  readonly search: lambda.Function;
  readonly writer: lambda.Function;
  readonly logRetention: logs.RetentionDays;
}

/** Where requests come in. */
export interface FrontDoor {
  /** The address, without a slash at its end, at which each kind of request is answered. */
  readonly url: Record<Access, string>;
  readonly authorization: Record<Access, Authorization>;
  /** How AWS calls the service in a signature. */
  readonly signingName: 'execute-api' | 'lambda';
}

/** Above what the functions' concurrency answers at 100 ms a request, and far below the account's limit of 10,000. */
export const DEFAULT_THROTTLE = { rate: 500, burst: 1000 };

/** How long a browser remembers what a page may do, in hours: the most that browsers keep. */
export const CORS_MAX_AGE_HOURS = 2;

/** What a page may read of an answer, docs/front-doors.md. */
export const CORS_EXPOSED_HEADERS = ['aquifer-version', 'etag', 'location', 'retry-after', 'x-request-id'];

/** What a page may send. */
export const CORS_HEADERS = ['content-type', 'authorization', 'if-none-match', 'x-amz-date', 'x-amz-security-token'];

export function authorizationOf(options: FrontDoorOptions): Record<Access, Authorization> {
  const { search = 'public', write = 'iam' } = options.authorization ?? {};
  return { search, write };
}

/** Refuses tokens where the front door cannot check them. */
export function withoutTokens(door: string, authorization: Authorization): 'public' | 'iam' {
  if (typeof authorization === 'object') {
    throw new Error(`A ${door} cannot check JSON web tokens: use frontDoor 'http-api', or authorization 'iam'.`);
  }
  return authorization;
}
