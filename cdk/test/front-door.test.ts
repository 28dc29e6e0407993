import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Match, type Template } from 'aws-cdk-lib/assertions';
import { describe, expect, test } from 'vitest';
import { ROUTES } from '../lib/front-door/routes';
import { resources, synthesise, VARIANTS } from './fixture';

/** How the router of the functions writes the same path. */
const ROUTER = readFileSync(join(__dirname, '../../functions/src/http/mod.rs'), 'utf8');

describe('the routes', () => {
  const paths = new Set(ROUTES.map(({ path }) => path));

  test('are those of the router', () => {
    const written = [...ROUTER.matchAll(/\.route\(\s*"([^"]+)"/g)].map((match) => match[1]?.replace(/\{\*\w+\}/, '{key+}'));
    const own = [...paths].filter((path) => path === '/indexes/{index}' || !path.startsWith('/indexes/{index}'));
    expect(own.sort()).toEqual([...new Set(written)].sort());
  });

  test('exist for each named index', () => {
    for (const path of ['/documents', '/search', '/jobs/{job}']) {
      expect(paths).toContain(`/indexes/{index}${path}`);
    }
  });

  test('that change something go to the writer', () => {
    const reading = ROUTES.filter(({ access }) => access === 'search').flatMap(({ methods, path }) => methods.map((method) => `${method} ${path}`));
    expect(reading.filter((route) => !route.startsWith('GET '))).toEqual(['POST /search', 'POST /indexes/{index}/search']);
  });
});

/** The routes of an HTTP API: what they are called, whom they let in, and which function answers. */
function httpRoutes(template: Template) {
  const integrations = resources(template, 'AWS::ApiGatewayV2::Integration');
  return Object.values(resources(template, 'AWS::ApiGatewayV2::Route')).map(({ Properties }) => {
    const id = JSON.stringify(Properties.Target).match(/"Ref":"(\w+)"/)?.[1] ?? '';
    const target = JSON.stringify(integrations[id]?.Properties.IntegrationUri);
    return { key: Properties.RouteKey as string, authorization: Properties.AuthorizationType as string, fn: target.match(/Functions(\w+?)[0-9A-F]{8}/)?.[1] };
  });
}

describe('the HTTP API', () => {
  const { serviceTemplate } = synthesise();

  test('lets everybody search, and asks writers for a signature', () => {
    const routes = httpRoutes(serviceTemplate);
    expect(routes).toHaveLength(ROUTES.flatMap(({ methods }) => methods).length);
    for (const route of ROUTES) {
      for (const method of route.methods) {
        const expected = route.access === 'write' ? { authorization: 'AWS_IAM', fn: 'Writer' } : { authorization: 'NONE', fn: 'Search' };
        expect(routes).toContainEqual({ key: `${method} ${route.path}`, ...expected });
      }
    }
  });

  test('limits requests and logs them', () => {
    serviceTemplate.hasResourceProperties('AWS::ApiGatewayV2::Stage', {
      DefaultRouteSettings: { ThrottlingRateLimit: 500, ThrottlingBurstLimit: 1000 },
      AccessLogSettings: { DestinationArn: Match.anyValue() },
    });
  });

  test('checks tokens', () => {
    const { serviceTemplate: tokens } = synthesise(VARIANTS.tokens);
    expect(new Set(httpRoutes(tokens).map(({ authorization }) => authorization))).toEqual(new Set(['JWT']));
    tokens.hasResourceProperties('AWS::ApiGatewayV2::Authorizer', {
      JwtConfiguration: { Issuer: 'https://login.example.com', Audience: ['search'] },
    });
  });

  test('lets web pages in only if they are named', () => {
    serviceTemplate.hasResourceProperties('AWS::ApiGatewayV2::Api', { CorsConfiguration: Match.absent() });
    const { serviceTemplate: open } = synthesise({ corsOrigins: 'https://a.example.com,https://b.example.com' });
    open.hasResourceProperties('AWS::ApiGatewayV2::Api', {
      CorsConfiguration: { AllowOrigins: ['https://a.example.com', 'https://b.example.com'] },
    });
  });
});

describe('the REST API', () => {
  const { serviceTemplate } = synthesise(VARIANTS['rest-api']);
  const methods = Object.values(resources(serviceTemplate, 'AWS::ApiGateway::Method')).map(({ Properties }) => Properties);

  test('asks writers for a signature', () => {
    const writing = methods.filter(({ HttpMethod }) => ['PUT', 'DELETE'].includes(HttpMethod));
    expect(writing.length).toBeGreaterThan(4);
    expect(writing.filter(({ AuthorizationType }) => AuthorizationType !== 'AWS_IAM')).toEqual([]);
    const counted = methods.filter(({ HttpMethod }) => HttpMethod !== 'OPTIONS');
    expect(counted).toHaveLength(ROUTES.flatMap((route) => route.methods).length);
  });

  test('passes packed answers on, and leaves web pages to the functions', () => {
    serviceTemplate.hasResourceProperties('AWS::ApiGateway::RestApi', { BinaryMediaTypes: ['*/*'] });
    serviceTemplate.hasResourceProperties('AWS::Lambda::Function', {
      FunctionName: 'aquifer-search',
      Environment: { Variables: { AQUIFER_COMPRESSION: 'always', AQUIFER_CORS_ORIGINS: 'https://www.example.com' } },
    });
    expect(methods.filter(({ HttpMethod }) => HttpMethod === 'OPTIONS')).toHaveLength(new Set(ROUTES.map(({ path }) => path)).size);
  });

  test('cannot check tokens, and says so', () => {
    expect(() => synthesise({ ...VARIANTS.tokens, frontDoor: 'rest-api' })).toThrow(/REST API cannot check JSON web tokens/);
  });
});

describe('function URLs', () => {
  test('that are public have both permissions', () => {
    const { serviceTemplate } = synthesise({ frontDoor: 'function-url' });
    const permissions = Object.values(resources(serviceTemplate, 'AWS::Lambda::Permission')).map(({ Properties }) => Properties);
    const open = permissions.filter(({ Principal }) => Principal === '*');
    expect(open).toHaveLength(2);
    expect(open).toContainEqual(expect.objectContaining({ Action: 'lambda:InvokeFunctionUrl', FunctionUrlAuthType: 'NONE' }));
    expect(open).toContainEqual(expect.objectContaining({ Action: 'lambda:InvokeFunction', InvokedViaFunctionUrl: true }));
    for (const { FunctionName } of open) {
      expect(JSON.stringify(FunctionName)).toContain('Search');
    }
  });

  test('of the writer ask for a signature', () => {
    const { serviceTemplate } = synthesise({ frontDoor: 'function-url' });
    const urls = Object.values(resources(serviceTemplate, 'AWS::Lambda::Url')).map(({ Properties }) => Properties);
    const writer = urls.find(({ TargetFunctionArn }) => JSON.stringify(TargetFunctionArn).includes('Writer'));
    expect(writer?.AuthType).toBe('AWS_IAM');
  });
});
