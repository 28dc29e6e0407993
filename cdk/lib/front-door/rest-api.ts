import * as gateway from 'aws-cdk-lib/aws-apigateway';
import { Construct } from 'constructs';
import { acknowledge } from '../acknowledge';
import {
  type Authorization,
  authorizationOf,
  DEFAULT_THROTTLE,
  type FrontDoor,
  type FrontDoorProps,
  withoutTokens,
} from './front-door';
import { type Access, ROUTES } from './routes';

/** A REST API: three and a half times the price of an HTTP API, for accounts that need its features, such as a WAF. */
export class RestApiDoor extends Construct implements FrontDoor {
  readonly url: Record<Access, string>;
  readonly authorization: Record<Access, Authorization>;
  readonly signingName = 'execute-api';
  readonly api: gateway.RestApi;

  constructor(scope: Construct, id: string, props: FrontDoorProps) {
    super(scope, id);
    this.authorization = authorizationOf(props);
    const { rate, burst } = props.throttle ?? DEFAULT_THROTTLE;
    this.api = new gateway.RestApi(this, 'Api', {
      restApiName: props.search.functionName,
      description: 'Aquifer: full-text search',
      endpointTypes: [gateway.EndpointType.REGIONAL],
      // Its logs take a role that is shared by the whole account and not deleted with the stack.
      cloudWatchRole: false,
      // So that packed answers reach the client as bytes.
      binaryMediaTypes: ['*/*'],
      deployOptions: { stageName: 'v1', throttlingRateLimit: rate, throttlingBurstLimit: burst },
    });
    for (const fn of [props.search, props.writer]) {
      fn.addEnvironment('AQUIFER_COMPRESSION', 'always');
      fn.addEnvironment('AQUIFER_CORS_ORIGINS', props.corsOrigins?.join(',') ?? '');
    }
    this.addRoutes(props);
    this.acknowledge();
    const url = this.api.url.replace(/\/$/, '');
    this.url = { search: url, write: url };
  }

  private addRoutes(props: FrontDoorProps) {
    // One permission for the whole API instead of one for each route: the policy of a function ends at 20 KB.
    const options = { allowTestInvoke: false, scopePermissionToMethod: false };
    const integrations = {
      search: new gateway.LambdaIntegration(props.search, options),
      write: new gateway.LambdaIntegration(props.writer, options),
    };
    for (const route of ROUTES) {
      const resource = this.api.root.resourceForPath(route.path);
      const authorization = withoutTokens('REST API', this.authorization[route.access]);
      for (const method of route.methods) {
        addMethod(resource, method, integrations[route.access], authorization);
      }
    }
    if (props.corsOrigins?.length) {
      // The function answers preflight requests: a gateway that passes bytes on cannot answer them itself.
      for (const path of new Set(ROUTES.map((route) => route.path))) {
        addMethod(this.api.root.resourceForPath(path), 'OPTIONS', integrations.search, 'public');
      }
    }
  }

  private acknowledge() {
    acknowledge(this.api, {
      'AwsSolutions-APIG2': 'The functions check every request and answer what is wrong with it, as a gateway cannot.',
    });
    acknowledge(this.api.deploymentStage, {
      'AwsSolutions-APIG1': 'Logs of a REST API take a role of the whole account; the functions log every request.',
      'AwsSolutions-APIG6': 'Logs of a REST API take a role of the whole account; the functions log every request.',
      'AwsSolutions-APIG3': 'A WAF costs by the month; whoever needs one attaches it to the stage.',
    });
  }
}

function addMethod(
  resource: gateway.IResource,
  method: string,
  integration: gateway.Integration,
  authorization: 'public' | 'iam',
) {
  const added = resource.addMethod(method, integration, {
    authorizationType: authorization === 'iam' ? gateway.AuthorizationType.IAM : gateway.AuthorizationType.NONE,
  });
  acknowledge(added, {
    'AwsSolutions-COG4': 'Callers are programs with credentials of AWS, or everybody; there is no user pool.',
    'AwsSolutions-APIG4': 'Searches are meant for everybody unless authorization says otherwise.',
  });
}
