import { type App, Tags } from 'aws-cdk-lib';
import { settings } from './context';
import { ServiceStack, StorageStack } from './stacks';

/** The two stacks of one environment, as the context of the app says, or `overrides` before it. */
export function deployment(app: App, overrides: Record<string, string> = {}): { storage: StorageStack; service: ServiceStack } {
  const { name, storage, service } = settings((key) => overrides[key] ?? app.node.tryGetContext(key));
  const files = new StorageStack(app, `${name}-storage`, storage);
  const functions = new ServiceStack(app, `${name}-service`, { ...service, storage: files.storage });
  for (const stack of [files, functions]) {
    Tags.of(stack).add('application', 'aquifer');
    Tags.of(stack).add('environment', name);
  }
  return { storage: files, service: functions };
}
