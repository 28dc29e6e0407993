import { Duration, Fn } from 'aws-cdk-lib';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import { Construct } from 'constructs';
import {
  type Authorization,
  authorizationOf,
  CORS_EXPOSED_HEADERS,
  CORS_HEADERS,
  CORS_MAX_AGE_HOURS,
  type FrontDoor,
  type FrontDoorProps,
  withoutTokens,
} from './front-door';
import type { Access } from './routes';

/** An address for each of the two functions. It costs nothing, and has no throttling. */
export class FunctionUrlDoor extends Construct implements FrontDoor {
  readonly url: Record<Access, string>;
  readonly authorization: Record<Access, Authorization>;
  readonly signingName = 'lambda';

  constructor(scope: Construct, id: string, props: FrontDoorProps) {
    super(scope, id);
    this.authorization = authorizationOf(props);
    if (props.throttle) {
      throw new Error("A function URL has no throttling: leave `throttle` out, or use frontDoor 'http-api'.");
    }
    this.url = {
      search: this.open(props.search, this.authorization.search, props.corsOrigins),
      write: this.open(props.writer, this.authorization.write, props.corsOrigins),
    };
  }

  /** For `public`, the CDK adds both permissions that Lambda asks for since October 2025. */
  private open(fn: lambda.Function, authorization: Authorization, origins: string[] | undefined): string {
    const isPublic = withoutTokens('function URL', authorization) === 'public';
    const url = fn.addFunctionUrl({
      authType: isPublic ? lambda.FunctionUrlAuthType.NONE : lambda.FunctionUrlAuthType.AWS_IAM,
      cors: cors(origins),
    });
    return withoutSlash(url.url);
  }
}

/** `https://ID.lambda-url.REGION.on.aws/` is known only when deployed. */
function withoutSlash(url: string): string {
  return Fn.join('', ['https://', Fn.select(2, Fn.split('/', url))]);
}

function cors(origins: string[] | undefined): lambda.FunctionUrlCorsOptions | undefined {
  return origins?.length
    ? {
        allowedOrigins: origins,
        allowedMethods: [lambda.HttpMethod.ALL],
        allowedHeaders: CORS_HEADERS,
        exposedHeaders: CORS_EXPOSED_HEADERS,
        maxAge: Duration.hours(CORS_MAX_AGE_HOURS),
      }
    : undefined;
}
