"use strict";
// Both versions of the framework package and print the configuration in each of its variants.

const assert = require("node:assert/strict");
const fs = require("node:fs");
const path = require("node:path");
const { test } = require("node:test");
const { FRAMEWORKS, architecture, flags, packages, run, scratch } = require("./framework.js");

const ACCESS_POINT = "arn:aws:elasticfilesystem:us-east-1:123456789012:access-point/fsap-0123456789abcdef0";
const IMAGE = `123456789012.dkr.ecr.us-east-1.amazonaws.com/aquifer@sha256:${"0".repeat(64)}`;
const EFS = { accessPoint: ACCESS_POINT, subnets: "subnet-a,subnet-b", securityGroup: "sg-a" };
// A zip of the search function stands for one that holds an index too; tests/tests/package/bundled.rs makes and serves those.
const BUNDLE = { storage: "bundle", bundle: path.join(packages, `aquifer-search-${architecture}.zip`) };

async function resources(framework, parameters) {
  const folder = fs.mkdtempSync(path.join(scratch, "package-"));
  const { code, output } = await run(framework, ["package", "--package", folder, ...flags(parameters)]);
  assert.equal(code, 0, output);
  return JSON.parse(fs.readFileSync(path.join(folder, "cloudformation-template-update-stack.json"))).Resources;
}

function ofType(found, type) {
  return Object.values(found).filter((one) => one.Type === type).map((one) => one.Properties);
}

function functions(found) {
  const byName = ofType(found, "AWS::Lambda::Function").map((one) => [one.FunctionName.replace("aquifer-dev-", ""), one]);
  return Object.fromEntries(byName);
}

for (const framework of FRAMEWORKS) {
  test(`${framework} packages three zips on a file system`, async () => {
    const found = await resources(framework, EFS);
    const { search, writer, reindex, ...others } = functions(found);
    assert.deepEqual(others, {});
    for (const [name, one] of Object.entries({ search, writer, reindex })) {
      assert.equal(one.Runtime, "provided.al2023");
      assert.deepEqual(one.Architectures, [architecture]);
      assert.match(one.Code.S3Key, new RegExp(`/aquifer-${name}-${architecture}\\.zip$`));
      assert.deepEqual(one.FileSystemConfigs, [{ Arn: ACCESS_POINT, LocalMountPath: one.Environment.Variables.AQUIFER_ROOT }]);
      assert.equal(one.Environment.Variables.AQUIFER_REINDEX_FUNCTION, undefined);
      assert.deepEqual(one.VpcConfig, { SubnetIds: ["subnet-a", "subnet-b"], SecurityGroupIds: ["sg-a"] });
    }
    assert.equal(reindex.ReservedConcurrentExecutions, 1);
    assert.equal(ofType(found, "AWS::Events::Rule").length, 1);
  });

  test(`${framework} sends what only reads to the search function`, async () => {
    const found = await resources(framework, EFS);
    const integration = (name) => ({ "Fn::Join": ["/", ["integrations", { Ref: `HttpApiIntegration${name}` }]] });
    const routes = ofType(found, "AWS::ApiGatewayV2::Route").map((one) => [one.RouteKey, one.Target]);
    assert.deepEqual(Object.fromEntries(routes), {
      "GET /": integration("Search"),
      "GET /{proxy+}": integration("Search"),
      "HEAD /{proxy+}": integration("Search"),
      "POST /search": integration("Search"),
      "POST /indexes/{index}/search": integration("Search"),
      "POST /{proxy+}": integration("Writer"),
      "PUT /{proxy+}": integration("Writer"),
      "DELETE /{proxy+}": integration("Writer"),
    });
  });

  test(`${framework} packages images on a file system`, async () => {
    const found = functions(await resources(framework, { ...EFS, package: "image", image: IMAGE }));
    assert.deepEqual(Object.keys(found).sort(), ["reindex", "search", "writer"]);
    for (const [name, one] of Object.entries(found)) {
      assert.equal(one.PackageType, "Image");
      assert.deepEqual([one.Code, one.ImageConfig], [{ ImageUri: IMAGE }, { Command: [name] }]);
    }
  });

  test(`${framework} packages an image with an index in it`, async () => {
    const { search, ...others } = functions(await resources(framework, { storage: "bundle", package: "image", image: IMAGE }));
    assert.deepEqual(others, {});
    assert.deepEqual(search.Environment.Variables, { AQUIFER_ROOT: "/var/index" });
    assert.equal(search.FileSystemConfigs ?? search.VpcConfig, undefined);
  });

  test(`${framework} packages a zip with an index in it`, async () => {
    const { search, ...others } = functions(await resources(framework, BUNDLE));
    assert.deepEqual(others, {});
    assert.equal(path.basename(search.Code.S3Key), path.basename(BUNDLE.bundle));
    assert.deepEqual(search.Environment.Variables, { AQUIFER_ROOT: "/var/task/index" });
    assert.equal(search.FileSystemConfigs ?? search.VpcConfig, undefined);
  });

  test(`${framework} prints what it would deploy`, async () => {
    const { code, output } = await run(framework, ["print", "--format", "json", ...flags(EFS)]);
    assert.equal(code, 0, output);
    const printed = JSON.parse(output.slice(output.indexOf("{")));
    assert.deepEqual(Object.keys(printed.functions), ["search", "writer", "reindex"]);
  });

  for (const [parameters, expected] of [
    [{}, "The parameter accessPoint is not set"],
    [{ ...EFS, package: "tar" }, 'The parameter package is "tar". Set it to zip or image'],
    [{ ...EFS, package: "image" }, "Set it to the address of an image in ECR, with its digest"],
  ]) {
    test(`${framework} reports: ${expected}`, async () => {
      const { code, output } = await run(framework, ["print", ...flags(parameters)]);
      assert.notEqual(code, 0);
      assert.ok(output.includes(expected), output);
    });
  }
}
