// The examples as their images run them: Node.js, and packages that npm installed from the lock file.
import assert from "node:assert/strict";
import { dirname } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { Client } from "./client.ts";
import { ExampleServer, MACHINE, ROUTER } from "./example-server.ts";
import { knock } from "./knock.ts";
import { badTokens, claims, FLY_MACHINE_ID, MACHINE_ID, sign, USER_ID } from "./tokens.ts";

const EXAMPLES = new URL("../../examples/", import.meta.url);

/** What the Dockerfile copies, beside the packages that it installs; removed when disposed. */
async function installed(folder: string) {
  const path = await Deno.makeTempDir({ prefix: "example-" });
  await Deno.mkdir(`${path}/${folder}`);
  for await (const { name, isFile } of Deno.readDir(new URL(folder, EXAMPLES))) {
    if (!isFile) continue;
    await Deno.copyFile(new URL(`${folder}/${name}`, EXAMPLES), `${path}/${folder}/${name}`);
  }
  const npm = new Deno.Command("npm", {
    args: ["ci", "--omit=dev", "--prefer-offline", "--no-audit", "--no-fund"],
    cwd: `${path}/${folder}`,
  });
  const { code, stderr } = await npm.output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  return {
    examples: pathToFileURL(`${path}/`),
    [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }),
  };
}

Deno.test("the machine runs under Node.js", async () => {
  await using copy = await installed(dirname(MACHINE.entry));
  const options = { command: ["node"], examples: copy.examples };
  await using server = await ExampleServer.start(MACHINE, options);
  await using client = await Client.connect(server, claims());
  client.send({ id: "1", text: "hello" });
  assert.deepEqual(await client.messages(3), [
    { machineId: MACHINE_ID, userId: USER_ID },
    { echo: "hello", id: "1" },
    { ack: "1" },
  ]);
  for (const [name, query, reason] of badTokens()) {
    const { status, body } = await knock(server.port, `/${query}`);
    assert.equal(status, 401, name);
    assert.match(JSON.parse(body).error, reason, name);
  }
  const [event, { code }] = await Promise.all([client.closed, server.stop("SIGINT")]);
  assert.deepEqual([event.code, code], [1001, 0]);
});

Deno.test("the router runs under Node.js and leaves upgrades to the machine", async () => {
  await using copy = await installed(dirname(ROUTER.entry));
  const options = { command: ["node"], examples: copy.examples };
  await using server = await ExampleServer.start(ROUTER, options);
  const { status, headers } = await knock(server.port, `/${MACHINE_ID}?token=${sign(claims())}`);
  assert.equal(status, 200);
  assert.equal(headers.get("fly-replay"), `app=${MACHINE_ID};instance=${FLY_MACHINE_ID}`);
  for (const [name, query] of badTokens()) {
    const refused = await knock(server.port, `/${MACHINE_ID}${query}`);
    assert.deepEqual([refused.status, refused.headers.get("fly-replay")], [401, null], name);
  }
  assert.equal((await server.stop("SIGINT")).code, 0);
});

Deno.test("each Dockerfile copies every file that the program needs", async () => {
  for (const { entry } of [MACHINE, ROUTER]) {
    const dockerfile = await Deno.readTextFile(
      fileURLToPath(new URL(`${dirname(entry)}/Dockerfile`, EXAMPLES)),
    );
    assert.match(dockerfile, /^COPY package\.json package-lock\.json \.\/$/m);
    assert.match(dockerfile, /^COPY \*\.mjs \.\/$/m);
    assert.match(dockerfile, /^RUN npm ci --omit=dev/m);
    assert.match(dockerfile, /^USER node$/m);
    assert.ok(dockerfile.includes(`CMD ["node", "${entry.split("/")[1]}"]`));
  }
});
