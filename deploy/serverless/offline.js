"use strict";
// The command `offline`: runs the functions of this configuration on this machine as AWS Lambda runs them, until Ctrl-C.
// scripts/local-lambda does the work. It is given the variables and the timeout of functions.js.

const { spawn } = require("node:child_process");
const path = require("node:path");

const LOCAL_LAMBDA = path.join(__dirname, "../../scripts/local-lambda");
// Where the index is depends on the machine: AQUIFER_ROOT of this process says it, and ./data is the default.
const OF_THE_MACHINE = ["AQUIFER_ROOT"];

class Offline {
  constructor(serverless) {
    this.serverless = serverless;
    this.commands = { offline: { usage: "Runs the functions on this machine", lifecycleEvents: ["run"] } };
    this.hooks = { "offline:run": () => this.run() };
  }

  run() {
    const functions = this.serverless.service.functions;
    const variables = Object.assign({}, ...Object.values(functions).map((one) => one.environment));
    for (const name of OF_THE_MACHINE) {
      delete variables[name];
    }
    const options = ["--timeout", String(functions.search.timeout)];
    return run(LOCAL_LAMBDA, options, { ...process.env, ...variables });
  }
}

// Signals are passed on: local Lambda ends what it started.
function run(program, options, env) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, options, { env, stdio: "inherit" });
    for (const signal of ["SIGINT", "SIGTERM"]) {
      process.on(signal, () => child.kill(signal));
    }
    child.on("error", reject);
    child.on("exit", (code, signal) => {
      code === 0 || signal ? resolve() : reject(new Error(`${program} ended with status ${code}; its last lines above say why.`));
    });
  });
}

module.exports = Offline;
