import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { FunctionKind } from '../storage/roles';

/** The processors of Lambda, as `scripts/package` names them. */
export type Processor = 'arm64' | 'x86_64';

/** Where `scripts/package` puts the zips, seen from the folder `build/lib/functions` of the compiled file. */
const DEFAULT_FOLDER = resolve(__dirname, '../../../../dist');

/** The list of checksums beside the zips, as sha256sum writes it. */
export const CHECKSUMS = 'SHA256SUMS';

const HOW = 'Build the zips with `scripts/package`, or name the folder that holds them: `-c package=FOLDER`.';

/** The zips of the functions, which `scripts/package` builds. Nothing here compiles Rust. */
export class Package {
  private readonly checksums: Map<string, string>;

  constructor(readonly folder: string = DEFAULT_FOLDER) {
    const path = join(folder, CHECKSUMS);
    if (!existsSync(path)) {
      throw new Error(`${path} is missing. ${HOW}`);
    }
    this.checksums = parse(readFileSync(path, 'utf8'), path);
  }

  /** The path of a function's zip, whose checksum is the listed one. */
  zip(kind: FunctionKind, processor: Processor): string {
    const name = `aquifer-${kind}-${processor}.zip`;
    const path = join(this.folder, name);
    const expected = this.checksums.get(name);
    if (!expected) {
      throw new Error(`${join(this.folder, CHECKSUMS)} does not list ${name}. ${HOW}`);
    }
    if (!existsSync(path)) {
      throw new Error(`${path} is missing. ${HOW}`);
    }
    const found = createHash('sha256').update(readFileSync(path)).digest('hex');
    if (found !== expected) {
      throw new Error(`The SHA-256 of ${path} is ${found}, but ${CHECKSUMS} says ${expected}: the file was changed or is incomplete. ${HOW}`);
    }
    return path;
  }
}

/** Reads lines of `CHECKSUM  NAME` or `CHECKSUM *NAME`. */
function parse(text: string, path: string): Map<string, string> {
  const checksums = new Map<string, string>();
  for (const [at, line] of text.split('\n').entries()) {
    if (line.trim() === '') {
      continue;
    }
    const match = /^([0-9a-f]{64}) [ *](?:\.\/)?(.+)$/.exec(line);
    if (!match?.[1] || !match[2]) {
      throw new Error(`${path}, line ${at + 1} is no line of sha256sum: '${line}'. ${HOW}`);
    }
    checksums.set(match[2], match[1]);
  }
  return checksums;
}
