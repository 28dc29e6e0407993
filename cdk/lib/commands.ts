import { CfnOutput, Stack } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import type { Authorization, FrontDoor } from './front-door/front-door';

const DOCUMENT = '{"unique_key":"418","title":"I am a teapot"}';

/** Signs with the credentials that `eval "$(aws configure export-credentials --format env)"` sets. */
function signature(region: string, name: FrontDoor['signingName']): string {
  return (
    `--aws-sigv4 "aws:amz:${region}:${name}" --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY"` +
    ' -H "x-amz-security-token: $AWS_SESSION_TOKEN"'
  );
}

/** What a caller has to send besides the request. */
function identity(authorization: Authorization, region: string, name: FrontDoor['signingName']): string[] {
  if (authorization === 'public') {
    return [];
  }
  return [authorization === 'iam' ? signature(region, name) : '-H "authorization: Bearer $TOKEN"'];
}

/** Shows, after a deployment, commands that post the first document and find it. */
export function showCommands(scope: Construct, door: FrontDoor) {
  const { region } = Stack.of(scope);
  const curl = (access: 'search' | 'write', ...rest: string[]) =>
    ['curl', ...identity(door.authorization[access], region, door.signingName), ...rest].join(' ');
  new CfnOutput(scope, 'SearchUrl', { description: 'Where searches are answered', value: `${door.url.search}/search` });
  new CfnOutput(scope, 'PostCommand', {
    description: 'Posts a document',
    value: curl('write', `-H 'content-type: application/json' -d '${DOCUMENT}' '${door.url.write}/documents'`),
  });
  new CfnOutput(scope, 'SearchCommand', {
    description: 'Finds it',
    value: curl('search', `'${door.url.search}/search?q=teapot'`),
  });
}
