import { execFile, spawnSync } from 'node:child_process';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { type Context, synthesise } from './fixture';

/** What a shell gives to a command of the outputs. The keys are those of AWS's documentation. */
const ENVIRONMENT = {
  PATH: process.env.PATH,
  AWS_ACCESS_KEY_ID: 'EXAMPLE',
  AWS_SECRET_ACCESS_KEY: 'example/secret',
  AWS_SESSION_TOKEN: 'example-token',
  TOKEN: 'example-jwt',
};

const CURL = spawnSync('curl', ['--version']).status === 0;
if (!CURL && process.env.CI) {
  throw new Error('curl is missing: install it (apt-get install curl), so that the commands of the outputs can be run.');
}
if (!CURL) {
  console.warn('SKIPPED: curl is missing, so the commands of the outputs are not run. Install it: apt-get install curl');
}

/** An output as CloudFormation shows it, with the server of the test in place of Amazon's. */
function command(context: Context, output: string, port: number): string {
  const { serviceTemplate } = synthesise(context);
  const value: unknown = serviceTemplate.toJSON().Outputs[output].Value;
  const text = resolve(value);
  return text.replaceAll(/https:\/\/[a-z0-9.-]+/gi, `http://127.0.0.1:${port}`);
}

/** Puts a name in place of each reference. */
function resolve(value: any): string {
  if (typeof value === 'string') {
    return value;
  }
  if (value['Fn::Join']) {
    return value['Fn::Join'][1].map(resolve).join(value['Fn::Join'][0]);
  }
  if (value['Fn::Select']) {
    return 'example.invalid';
  }
  return value.Ref === 'AWS::Region' ? 'eu-central-1' : 'example';
}

interface Received {
  readonly method?: string;
  readonly url?: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

/** Runs a command of the outputs in a shell and gives the request that it sends. */
async function run(context: Context, output: string): Promise<Received> {
  const received: Received[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (part) => (body += part));
    request.on('end', () => {
      received.push({ method: request.method, url: request.url, headers: request.headers, body });
      response.end('{}');
    });
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  try {
    const text = command(context, output, (server.address() as AddressInfo).port);
    await promisify(execFile)('sh', ['-c', text], { env: ENVIRONMENT });
  } finally {
    server.close();
  }
  expect(received).toHaveLength(1);
  return received[0] as Received;
}

test.runIf(CURL).each([
  [{}, 'execute-api', '/documents'],
  [{ frontDoor: 'rest-api' }, 'execute-api', '/v1/documents'],
  [{ frontDoor: 'function-url' }, 'lambda', '/documents'],
])('the command to post signs a document: %j', async (context, service, path) => {
  const { method, url, headers, body } = await run(context, 'PostCommand');
  expect(method).toBe('POST');
  // Where the name of a stage is a reference, the test has a name of its own for it.
  expect(url?.replace('/example/', '/v1/')).toBe(path);
  expect(headers['content-type']).toBe('application/json');
  expect(headers.authorization).toMatch(new RegExp(`^AWS4-HMAC-SHA256 Credential=EXAMPLE/\\d{8}/eu-central-1/${service}/aws4_request`));
  expect(headers['x-amz-security-token']).toBe('example-token');
  expect(JSON.parse(body)).toEqual({ unique_key: '418', title: 'I am a teapot' });
});

test.runIf(CURL)('the command to search asks for the document without a signature', async () => {
  const { method, url, headers } = await run({}, 'SearchCommand');
  expect({ method, url, authorization: headers.authorization }).toEqual({ method: 'GET', url: '/search?q=teapot', authorization: undefined });
});

test.runIf(CURL)('with tokens both commands send one', async () => {
  const context = { writes: 'jwt', searches: 'jwt', jwtIssuer: 'https://login.example.com', jwtAudience: 'search' };
  for (const output of ['PostCommand', 'SearchCommand']) {
    const { headers } = await run(context, output);
    expect(headers.authorization).toBe('Bearer example-jwt');
  }
});
