"use strict";
// The functions of serverless.yml, made from its parameters. offline.js runs the same functions on this machine.

const path = require("node:path");

const MOUNT = "/mnt/aquifer";
// The working folder of a function holds what its zip holds; deploy/image/Dockerfile puts the index elsewhere.
const BUNDLED = { zip: "/var/task/index", image: "/var/index" };

// docs/memory.md has the least memory; more of it is more processor too. API Gateway waits for 30 seconds. What the reindex
// function has no time for is resumed by the next schedule.
const SEARCH = { name: "search", memorySize: 1024, timeout: 29 };
const WRITER = { name: "writer", memorySize: 1024, timeout: 29 };
const REINDEX = { name: "reindex", memorySize: 1024, timeout: 900 };

// Of this stage nothing is deployed: offline.js runs it.
const OFFLINE = "offline";

const READS = ["GET /", "GET /{proxy+}", "HEAD /{proxy+}", "POST /search", "POST /indexes/{index}/search"];
const WRITES = ["POST /{proxy+}", "PUT /{proxy+}", "DELETE /{proxy+}"];

const PARAMETERS = ["package", "architecture", "storage", "packages", "retention", "accessPoint", "subnets", "securityGroup", "image", "bundle"];

module.exports = async ({ resolveVariable }) => {
  const settings = await read(resolveVariable);
  const search = { ...make(settings, SEARCH), events: routes(READS) };
  if (settings.storage === "bundle") {
    return { search };
  }
  const writer = { ...make(settings, WRITER), events: routes(WRITES) };
  const schedule = { rate: ["rate(5 minutes)"], description: "Applies what the writer left, merges and collects garbage" };
  const reindex = { ...make(settings, REINDEX), events: [{ schedule }], reservedConcurrency: 1, maximumRetryAttempts: 0 };
  return { search, writer, reindex };
};

async function read(resolveVariable) {
  const settings = { stage: await resolveVariable("sls:stage") };
  for (const name of PARAMETERS) {
    settings[name] = await resolveVariable(`param:${name}`);
  }
  oneOf(settings, "package", ["zip", "image"]);
  oneOf(settings, "architecture", ["arm64", "x86_64"]);
  oneOf(settings, "storage", ["efs", "bundle"]);
  return settings;
}

function oneOf(settings, name, allowed) {
  if (!allowed.includes(settings[name])) {
    throw new Error(`The parameter ${name} is "${settings[name]}". Set it to ${allowed.join(" or ")}.`);
  }
}

function make(settings, { name, memorySize, timeout }) {
  return { memorySize, timeout, ...program(settings, name), ...storage(settings) };
}

function program(settings, name) {
  if (settings.stage === OFFLINE) {
    return { handler: "bootstrap" };
  }
  if (settings.package === "image") {
    if (!/@sha256:[0-9a-f]{64}$/.test(settings.image)) {
      throw new Error(
        `The parameter image is "${settings.image}". Set it to the address of an image in ECR, with its digest: ` +
          "ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME@sha256:DIGEST"
      );
    }
    return { image: { uri: settings.image, command: [name] } };
  }
  const packed = path.join(settings.packages, `aquifer-${name}-${settings.architecture}.zip`);
  const artifact = settings.storage === "bundle" ? settings.bundle : packed;
  return { handler: "bootstrap", package: { artifact } };
}

function storage(settings) {
  if (settings.storage === "bundle") {
    return { environment: { AQUIFER_ROOT: BUNDLED[settings.package] } };
  }
  const environment = { AQUIFER_ROOT: MOUNT, AQUIFER_RETENTION: settings.retention };
  if (settings.stage === OFFLINE) {
    return { environment };
  }
  for (const name of ["accessPoint", "subnets", "securityGroup"]) {
    if (!settings[name]) {
      throw new Error(`The parameter ${name} is not set. serverless.yml describes it. To run the functions on this machine: offline --stage offline`);
    }
  }
  return {
    // A function in a VPC does not reach Lambda's own API without an endpoint or a NAT gateway, so the writer invokes no other.
    environment,
    fileSystemConfig: { arn: settings.accessPoint, localMountPath: MOUNT },
    vpc: { subnetIds: settings.subnets.split(","), securityGroupIds: [settings.securityGroup] },
  };
}

function routes(lines) {
  return lines.map((line) => ({ httpApi: line }));
}
