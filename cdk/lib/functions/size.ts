import { Duration, Size } from 'aws-cdk-lib';
import type { FunctionKind } from '../storage/roles';

/** How much a function gets of what Lambda bills and limits. */
export interface FunctionSize {
  readonly memoryMiB?: number;
  readonly timeout?: Duration;
  /** The size of /tmp, where merges sort. */
  readonly scratch?: Size;
  /** How many environments there may be at once; `'unreserved'` takes what the account has left. */
  readonly concurrency?: number | 'unreserved';
}

/** The least memory in which each function was measured to work, docs/memory.md. */
export const MEMORY_MIN_MIB = 128;

/** Merges and reindexing end in this time or go on with the next schedule. Shorter, and nothing gets done. */
export const REINDEX_TIMEOUT_MIN = Duration.minutes(1);

/** Connections that a file system of EFS takes. An environment is one. */
export const CONNECTIONS_MAX = 25_000;

/** API Gateway waits this long, and the functions answer within 25 seconds. */
const REQUEST_TIMEOUT = Duration.seconds(30);

/** What a function may take at most, in Lambda. */
const LONGEST_TIMEOUT = Duration.minutes(15);

/** What Lambda gives without being asked, and without a price. */
const SCRATCH = Size.mebibytes(512);

export const DEFAULT_SIZE: Record<FunctionKind, Required<FunctionSize>> = {
  // The processor follows the memory: 512 MB is 0.3 of a core. The least that works is a quarter of this.
  search: { memoryMiB: 512, timeout: REQUEST_TIMEOUT, scratch: SCRATCH, concurrency: 200 },
  // Writers of one index commit one after the other, and what arrives meanwhile shares the next commit. So a few
  // environments take as much as many, which would only wait for each other, at a price.
  writer: { memoryMiB: 512, timeout: REQUEST_TIMEOUT, scratch: SCRATCH, concurrency: 10 },
  // While one works on a job, the schedule's calls go round the other indexes, and an order from outside is not turned away.
  reindex: { memoryMiB: 1024, timeout: LONGEST_TIMEOUT, scratch: SCRATCH, concurrency: 3 },
};

/** The sizes of all functions, checked. */
export function sizes(given: Partial<Record<FunctionKind, FunctionSize>> = {}): Record<FunctionKind, Required<FunctionSize>> {
  const all = {
    writer: size('writer', given.writer),
    search: size('search', given.search),
    reindex: size('reindex', given.reindex),
  };
  let connections = 0;
  for (const [kind, { memoryMiB, concurrency }] of Object.entries(all)) {
    if (memoryMiB < MEMORY_MIN_MIB) {
      throw new Error(`The function ${kind} has ${memoryMiB} MiB of memory: it needs ${MEMORY_MIN_MIB} at least.`);
    }
    connections += concurrency === 'unreserved' ? 0 : concurrency;
  }
  if (all.reindex.timeout.toSeconds() < REINDEX_TIMEOUT_MIN.toSeconds()) {
    throw new Error(
      `The timeout of the reindex function is ${all.reindex.timeout.toSeconds()} s: it needs ${REINDEX_TIMEOUT_MIN.toSeconds()} s at least.`,
    );
  }
  if (connections > CONNECTIONS_MAX) {
    throw new Error(
      `The functions may have ${connections} environments together, but the file system takes ${CONNECTIONS_MAX} connections: reserve less concurrency.`,
    );
  }
  return all;
}

/** What is not given, or given as undefined, has its default. */
function size(kind: FunctionKind, given: FunctionSize = {}): Required<FunctionSize> {
  const { memoryMiB, timeout, scratch, concurrency } = DEFAULT_SIZE[kind];
  return {
    memoryMiB: given.memoryMiB ?? memoryMiB,
    timeout: given.timeout ?? timeout,
    scratch: given.scratch ?? scratch,
    concurrency: given.concurrency ?? concurrency,
  };
}
