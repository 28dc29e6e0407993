"use strict";
// Runs the Serverless Framework on the configuration in the folder above, without an account.

const { spawn } = require("node:child_process");
const { once } = require("node:events");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");

// The open continuation of the framework, and the last version that needs no licence.
const FRAMEWORKS = ["osls", "serverless"];

const packages = process.env.AQUIFER_PACKAGES;
if (!packages) {
  throw new Error(
    "AQUIFER_PACKAGES is not set. Run `scripts/package --profile package-check --arch $(uname -m) --output target/packages` " +
      "and set it to the absolute path of target/packages."
  );
}
const scratch = fs.mkdtempSync(path.join(os.tmpdir(), "aquifer-serverless-"));
process.on("exit", () => fs.rmSync(scratch, { recursive: true, force: true }));

// The architecture whose packages are there.
const architecture = ["arm64", "x86_64"].find((name) => fs.existsSync(path.join(packages, `aquifer-search-${name}.zip`)));

function start(framework, args, variables = {}) {
  const program = path.join(__dirname, "node_modules", framework, "bin/serverless.js");
  // No credentials and no settings of whoever runs this.
  const { PATH, CARGO_HOME, RUSTUP_HOME, CARGO_TARGET_DIR, HOME } = process.env;
  const home = { CARGO_HOME: CARGO_HOME ?? `${HOME}/.cargo`, RUSTUP_HOME: RUSTUP_HOME ?? `${HOME}/.rustup` };
  const env = { PATH, HOME: scratch, ...home, SLS_TELEMETRY_DISABLED: "1", SLS_NOTIFICATIONS_MODE: "off", ...variables };
  if (CARGO_TARGET_DIR) {
    env.CARGO_TARGET_DIR = CARGO_TARGET_DIR;
  }
  return spawn(process.execPath, [program, ...args], { cwd: path.join(__dirname, ".."), env, stdio: ["ignore", "pipe", "pipe"] });
}

// Runs a command to its end.
async function run(framework, args) {
  const child = start(framework, args);
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (data) => (output += data));
  }
  const [code] = await once(child, "close");
  return { code, output };
}

function flags(parameters) {
  return Object.entries({ architecture, packages, ...parameters }).map(([name, value]) => `--param=${name}=${value}`);
}

module.exports = { FRAMEWORKS, architecture, flags, packages, run, scratch, start };
