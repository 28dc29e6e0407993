import { Duration, RemovalPolicy } from 'aws-cdk-lib';
import * as gateway from 'aws-cdk-lib/aws-apigatewayv2';
import { HttpIamAuthorizer, HttpJwtAuthorizer } from 'aws-cdk-lib/aws-apigatewayv2-authorizers';
import { HttpLambdaIntegration } from 'aws-cdk-lib/aws-apigatewayv2-integrations';
import * as logs from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { acknowledge } from '../acknowledge';
import {
  type Authorization,
  authorizationOf,
  CORS_EXPOSED_HEADERS,
  CORS_HEADERS,
  CORS_MAX_AGE_HOURS,
  DEFAULT_THROTTLE,
  type FrontDoor,
  type FrontDoorProps,
} from './front-door';
import { type Access, ROUTES } from './routes';

/** An HTTP API: a route for each route of Aquifer, throttling, and a log of requests. */
export class HttpApiDoor extends Construct implements FrontDoor {
  readonly url: Record<Access, string>;
  readonly authorization: Record<Access, Authorization>;
  readonly signingName = 'execute-api';
  readonly api: gateway.HttpApi;

  constructor(scope: Construct, id: string, props: FrontDoorProps) {
    super(scope, id);
    this.authorization = authorizationOf(props);
    this.api = new gateway.HttpApi(this, 'Api', {
      apiName: `${props.search.functionName}`,
      description: 'Aquifer: full-text search',
      createDefaultStage: false,
      corsPreflight: cors(props.corsOrigins),
    });
    this.addRoutes(props);
    const stage = this.addStage(props);
    this.url = { search: stage, write: stage };
  }

  private addRoutes(props: FrontDoorProps) {
    const integrations = {
      search: new HttpLambdaIntegration('Search', props.search),
      write: new HttpLambdaIntegration('Write', props.writer),
    };
    const authorizers = {
      search: authorizer('SearchAuthorizer', this.authorization.search),
      write: authorizer('WriteAuthorizer', this.authorization.write),
    };
    for (const route of ROUTES) {
      const routes = this.api.addRoutes({
        path: route.path,
        methods: route.methods.map((method) => gateway.HttpMethod[method]),
        integration: integrations[route.access],
        authorizer: authorizers[route.access],
      });
      if (this.authorization[route.access] === 'public') {
        for (const open of routes) {
          acknowledge(open, { 'AwsSolutions-APIG4': 'These routes are meant for everybody; authorization can be set.' });
        }
      }
    }
  }

  private addStage(props: FrontDoorProps): string {
    const { rate, burst } = props.throttle ?? DEFAULT_THROTTLE;
    const log = new logs.LogGroup(this, 'Log', { retention: props.logRetention, removalPolicy: RemovalPolicy.DESTROY });
    const stage = new gateway.HttpStage(this, 'Stage', {
      httpApi: this.api,
      autoDeploy: true,
      throttle: { rateLimit: rate, burstLimit: burst },
      accessLogSettings: { destination: new gateway.LogGroupLogDestination(log) },
    });
    return stage.url.replace(/\/$/, '');
  }
}

function authorizer(id: string, authorization: Authorization): gateway.IHttpRouteAuthorizer | undefined {
  if (authorization === 'public') {
    return undefined;
  }
  if (authorization === 'iam') {
    return new HttpIamAuthorizer();
  }
  return new HttpJwtAuthorizer(id, authorization.issuer, { jwtAudience: authorization.audience });
}

function cors(origins: string[] | undefined): gateway.CorsPreflightOptions | undefined {
  if (!origins?.length) {
    return undefined;
  }
  return {
    allowOrigins: origins,
    allowMethods: [gateway.CorsHttpMethod.ANY],
    allowHeaders: CORS_HEADERS,
    exposeHeaders: CORS_EXPOSED_HEADERS,
    maxAge: Duration.hours(CORS_MAX_AGE_HOURS),
  };
}
