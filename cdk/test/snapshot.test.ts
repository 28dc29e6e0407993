import type { Template } from 'aws-cdk-lib/assertions';
import { expect, test } from 'vitest';
import { synthesise } from './fixture';

/** What changes without a change here: hashes of assets, and the part of a logical name that is a hash. */
function masked(template: Template): unknown {
  const text = JSON.stringify(template.toJSON());
  return JSON.parse(text.replaceAll(/\b[0-9a-f]{64}\b/g, 'HASH').replaceAll(/([A-Za-z])[0-9A-F]{8}\b/g, '$1'));
}

const { storageTemplate, serviceTemplate } = synthesise();

test('the stack of the files', () => {
  expect(masked(storageTemplate)).toMatchSnapshot();
});

test('the stack of the service', () => {
  expect(masked(serviceTemplate)).toMatchSnapshot();
});
