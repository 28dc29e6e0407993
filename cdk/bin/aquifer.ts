import { App, Validations } from 'aws-cdk-lib';
import { AwsSolutionsChecks } from 'cdk-nag';
import { deployment } from '../lib/app';

const app = new App();
deployment(app);
Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
