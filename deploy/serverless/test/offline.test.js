"use strict";
// The command `offline` serves the functions of the configuration on this machine.

const assert = require("node:assert/strict");
const { once } = require("node:events");
const fs = require("node:fs");
const net = require("node:net");
const path = require("node:path");
const readline = require("node:readline");
const { test } = require("node:test");
const { FRAMEWORKS, scratch, start } = require("./framework.js");

async function freePort() {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

// The lines of a program until one begins so.
async function until(child, beginning) {
  const lines = [];
  child.stderr.on("data", (data) => lines.push(String(data)));
  for await (const line of readline.createInterface({ input: child.stdout })) {
    lines.push(line);
    if (line.startsWith(beginning)) {
      return;
    }
  }
  assert.fail(`it ended before it was ${beginning}:\n${lines.join("\n")}`);
}

for (const framework of FRAMEWORKS) {
  test(`${framework} offline posts and searches until it is interrupted`, async () => {
    const root = fs.mkdtempSync(path.join(scratch, "root-"));
    const port = await freePort();
    const child = start(framework, ["offline", "--stage", "offline"], { AQUIFER_ROOT: root, AQUIFER_PORT: String(port) });
    try {
      await until(child, "listening on");
      const url = `http://127.0.0.1:${port}`;
      const headers = { "content-type": "application/json" };
      const posted = await fetch(`${url}/documents`, { method: "POST", headers, body: '{"unique_key":"418","title":"a teapot"}' });
      assert.equal(posted.status, 200);
      const found = await (await fetch(`${url}/search?q=teapot`)).json();
      assert.equal(found.count, 1);
    } finally {
      child.kill("SIGINT");
    }
    const [code] = await once(child, "exit");
    assert.equal(code, 0);
  });
}
