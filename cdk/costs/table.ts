import { ASSUMED, aquifer, type Bill, options, others, total, WORKLOADS } from './model';
import { PRICES, UNKNOWN } from './prices';

/** The part of cdk/README.md that is computed. */
export function tables(): string {
  return [workloads(), optional(), prices(), unknown()].join('\n\n');
}

function workloads(): string {
  const bills = WORKLOADS.map(aquifer);
  const compared = WORKLOADS.map(others);
  const head = WORKLOADS.map((workload) => `${workload.indexGB} GB, ${count(workload.searchesADay)} searches and ${count(workload.postsADay)} posts a day`);
  return table(
    ['dollars a month', ...head],
    [
      ...rows(bills),
      ['**Aquifer**', ...bills.map((bill) => `**${money(total(bill))}**`)],
      ...rows(compared),
    ],
  );
}

function rows(bills: Bill[]): string[][] {
  return Object.keys(bills[0] ?? {}).map((name) => [name, ...bills.map((bill) => money(bill[name] ?? 0))]);
}

function optional(): string {
  return table(['option', 'dollars a month more'], Object.entries(options()).map(([name, dollars]) => [name, money(dollars)]));
}

function prices(): string {
  const lines = Object.values(PRICES).map(({ dollars, per, source, date }) => [String(dollars), per, `<${source}>`, date]);
  return table(['dollars', 'for a', 'source', 'date'], lines);
}

function unknown(): string {
  const assumed = Object.entries(ASSUMED).map(([name, value]) => `\`${name}\` ${value}`).join(', ');
  return [`Assumed: ${assumed} (\`costs/model.ts\`).`, '', 'No price was found for:', '', ...UNKNOWN.map((line) => `- ${line}`)].join('\n');
}

function table(head: string[], lines: string[][]): string {
  const rule = head.map((_, at) => (at === 0 ? '---' : '---:'));
  return [head, rule, ...lines].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

function money(dollars: number): string {
  return dollars.toLocaleString('en-US', { minimumFractionDigits: 2, maximumFractionDigits: 2 });
}

function count(number: number): string {
  return number.toLocaleString('en-US');
}
