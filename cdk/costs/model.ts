import { DEFAULT_SIZE } from '../lib/functions/size';
import type { FunctionKind } from '../lib/storage/roles';
import { PRICES } from './prices';

/** How large an index is and how it is used. */
export interface Workload {
  readonly name: string;
  readonly indexGB: number;
  readonly searchesADay: number;
  readonly postsADay: number;
}

export const WORKLOADS: readonly Workload[] = [
  { name: 'small', indexGB: 1, searchesADay: 10_000, postsADay: 1_000 },
  { name: 'medium', indexGB: 10, searchesADay: 100_000, postsADay: 10_000 },
  { name: 'large', indexGB: 100, searchesADay: 1_000_000, postsADay: 100_000 },
];

/** What the smallest workload may cost in a month, in dollars. */
export const SMALL_MAX = 5;

/**
 * What a request takes. Nothing was measured on AWS. What was measured on a machine of our own is in ARCHITECTURE.md: a cold start
 * with the first search of three words reads 6.5 MB of an index of a million documents in twelve segments, words that were not
 * searched before take 86 KB, and a search that finds nothing new reads 4 KB. The rest is assumed, on the high side.
 */
export const ASSUMED = {
  searchSeconds: 0.05,
  postSeconds: 0.15,
  /** A round that finds nothing to do, or little. */
  roundSeconds: 1,
  /** One search in so many is the first of its environment. */
  searchesPerColdStart: 50,
  coldReadsMB: 6.5,
  /** Every other search is taken to be for new words. */
  warmReadsMB: 0.1,
  /** A post writes its batch, a segment, and a manifest; merges write each document about four times more. */
  postWritesMB: 0.25,
  postReadsMB: 0.25,
  /** A folder stays under twice the size of the index, README.md. */
  folderPerIndex: 2,
  logBytesPerRequest: 800,
} as const;

const DAYS = 30;
const HOURS = 730;
const ROUNDS_A_DAY = (24 * 60) / 5;
const MB = 1e-3;

/** What a month costs, by what is paid for. */
export type Bill = Record<string, number>;

export function aquifer(workload: Workload): Bill {
  const searches = workload.searchesADay * DAYS;
  const posts = workload.postsADay * DAYS;
  const rounds = ROUNDS_A_DAY * DAYS;
  const reads = (searches * searchReadsMB() + posts * ASSUMED.postReadsMB) * MB;
  const writes = posts * ASSUMED.postWritesMB * MB;
  return {
    'EFS: storage': workload.indexGB * ASSUMED.folderPerIndex * PRICES.efsStorage.dollars,
    'EFS: reads and writes': reads * PRICES.efsRead.dollars + writes * PRICES.efsWrite.dollars,
    'Lambda: search': invocations('search', searches, ASSUMED.searchSeconds),
    'Lambda: writer': invocations('writer', posts, ASSUMED.postSeconds),
    'Lambda: maintenance': invocations('reindex', rounds, ASSUMED.roundSeconds),
    'HTTP API': (searches + posts) * PRICES.httpApi.dollars,
    Logs: ((searches + posts) * ASSUMED.logBytesPerRequest * PRICES.logs.dollars) / 1e9,
  };
}

/** What a search reads from the mount on average. */
function searchReadsMB(): number {
  return ASSUMED.warmReadsMB + ASSUMED.coldReadsMB / ASSUMED.searchesPerColdStart;
}

function invocations(kind: FunctionKind, count: number, seconds: number): number {
  const gigabytes = DEFAULT_SIZE[kind].memoryMiB / 1024;
  return count * (PRICES.lambdaRequest.dollars + gigabytes * seconds * PRICES.lambdaSecond.dollars);
}

/** What options add to any workload. */
export function options(): Bill {
  return {
    'monitoring full: 32 metrics and a dashboard': 32 * PRICES.metric.dollars + PRICES.dashboard.dollars,
    'handOver endpoint: in two zones': 2 * HOURS * PRICES.endpoint.dollars,
    'handOver dual-stack': 0,
  };
}

/** What others cost at least, as far as a price was found. */
export function others(workload: Workload): Bill {
  const searches = workload.searchesADay * DAYS;
  const build = Math.max(0, searches - 50_000) * PRICES.meilisearch.dollars;
  const pro = Math.max(0, searches - 250_000) * PRICES.meilisearchPro.dollars;
  return {
    'OpenSearch Serverless: half a unit each for searches and indexing, without a standby': HOURS * PRICES.ocu.dollars,
    'OpenSearch Serverless: with a standby': 2 * HOURS * PRICES.ocu.dollars,
    'Meilisearch Cloud: searches above those of the plan Build, without its base fee': build,
    'Meilisearch Cloud: searches above those of the plan Pro, without its base fee': pro,
    'Quickwit: one server of 8 GB, without storage and requests to S3': HOURS * PRICES.server.dollars,
  };
}

export function total(bill: Bill): number {
  return Object.values(bill).reduce((sum, dollars) => sum + dollars, 0);
}
