import { App, Validations } from 'aws-cdk-lib';
import { AwsSolutionsChecks } from 'cdk-nag';
import { deployment } from '../lib/app';

const app = new App();
try {
  deployment(app);
} catch (error) {
  // A setting is wrong or the zips are missing: the message says which, and a stack trace would hide it.
  console.error(`\n${error instanceof Error ? error.message : error}\n`);
  process.exit(1);
}
Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
