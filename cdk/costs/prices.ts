/**
 * Prices in us-east-1, in dollars, without taxes and free tiers. Each names the page that says so, and the date of that page, or
 * the date on which it was read if the page has none. The pages of AWS show most prices only to a browser, so the sources are
 * articles that quote them.
 */

interface Price {
  readonly dollars: number;
  readonly per: string;
  readonly source: string;
  readonly date: string;
}

function price(dollars: number, per: string, source: string, date: string): Price {
  return { dollars, per, source, date };
}

const EFS = 'https://www.factualminds.com/blog/amazon-efs-pricing-throughput-modes-storage-classes/';
const CLOUDWATCH = 'https://www.factualminds.com/blog/amazon-cloudwatch-pricing-metrics-logs-alarms-dashboards/';
const LAMBDA = 'https://git.mcrn.ar/mariano/lambda_local_runner/src/branch/main/docs/lambdas-md/lambda-13-cost.md';
const GATEWAY = 'https://appropri8-astro.pages.dev/tutorials/2025/12/02/deploying-simple-api-aws/page/7';

export const PRICES = {
  efsStorage: price(0.3, 'GB and month', EFS, '2026-06-13'),
  efsRead: price(0.03, 'GB', EFS, '2026-06-13'),
  efsWrite: price(0.06, 'GB', EFS, '2026-06-13'),
  lambdaSecond: price(0.0000133334, 'GB and second, arm64', LAMBDA, '2026-05-11'),
  lambdaRequest: price(0.2e-6, 'request', LAMBDA, '2026-05-11'),
  httpApi: price(1e-6, 'request', GATEWAY, '2025-12-02'),
  logs: price(0.5, 'GB', CLOUDWATCH, '2026-06-13'),
  metric: price(0.3, 'custom metric and month', 'https://signoz.io/guides/cloudwatch-pricing', '2026-02-15'),
  dashboard: price(3, 'dashboard and month', CLOUDWATCH, '2026-06-13'),
  endpoint: price(0.01, 'hour and zone, interface endpoint', 'https://awsnegotiations.com/privatelink-cost-analysis.html', '2026-05'),
  ocu: price(0.24, 'OCU and hour, OpenSearch Serverless', 'https://awsnegotiations.com/opensearch-serverless-cost', '2026-02'),
  meilisearch: price(0.4e-3, 'search above 50,000 a month, plan Build of Meilisearch Cloud', 'https://meilisearch.com/docs/capabilities/platform/billing/pricing_model', '2026-11-27'),
  meilisearchPro: price(0.3e-3, 'search above 250,000 a month, plan Pro of Meilisearch Cloud', 'https://meilisearch.com/docs/capabilities/platform/billing/pricing_model', '2026-11-27'),
  server: price(0.0816, 'hour, m7g.large with Linux', 'https://www.factualminds.com/blog/amazon-ec2-on-demand-pricing-instance-families-2026/', '2026-06-17'),
} as const satisfies Record<string, Price>;

/** What could not be found, and is therefore not in the table. */
export const UNKNOWN = [
  'the base fee of the plans Build and Pro of Meilisearch Cloud: the table has only what is billed for each search above the plan',
  'the fee by the hour of Typesense Cloud. It keeps the index in memory, two to three times the size of the searched fields (https://typesense.org/docs/guide/system-requirements.html)',
  'the price of an alarm, of which the first ten of an account are free (https://aws.amazon.com/cloudwatch/pricing/), and of backups of EFS',
];
