/** The function as a process: start, output, end, and both versions of Deno. */
import assert from "node:assert/strict";
import {
  denoFromNpm,
  type FunctionProcess,
  HOSTED_DENO_VERSION,
  type OutputLine,
  resolveFunctionDeno,
  startFunction,
} from "../../dev/stack/function/mod.ts";

/** A directory with one function, removed when disposed. */
async function functionDirectory(source: string) {
  const path = await Deno.makeTempDir({ prefix: "function-" });
  const entry = new URL(`file://${path}/index.ts`);
  await Deno.writeTextFile(entry, source);
  return {
    entry,
    path,
    [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }),
  };
}

const ECHO = `
console.log("boot", Deno.version.deno);
console.error("to stderr\\nin two lines");
const state = (name: Deno.PermissionName) => Deno.permissions.query({ name }).then((p) => p.state);
Deno.serve(async (request) => Response.json({
  path: new URL(request.url).pathname,
  body: await request.text(),
  env: Deno.env.toObject(),
  net: await state("net"),
  read: await state("read"),
  write: await state("write"),
  run: await state("run"),
}));
`;

/** Asks again until the condition holds. */
async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!await condition()) {
    if (Date.now() > deadline) throw new Error("the condition never held");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function listens(url: string): Promise<boolean> {
  return fetch(url).then(async (response) => {
    await response.body?.cancel();
    return true;
  }, () => false);
}

async function stopped(fn: FunctionProcess): Promise<void> {
  await fn.stop();
  assert.equal(await listens(fn.url), false);
}

for (const version of [Deno.version.deno, HOSTED_DENO_VERSION]) {
  const deno = () => version === Deno.version.deno ? Deno.execPath() : denoFromNpm(version);

  Deno.test(`function process on Deno ${version}: serves with its own environment`, async () => {
    await using directory = await functionDirectory(ECHO);
    const heard: OutputLine[] = [];
    Deno.env.set("FUNCTION_PROCESS_TEST_SECRET", "of the parent");
    const fn = await startFunction({
      entry: directory.entry,
      deno: await deno(),
      env: { GIVEN: "value" },
      onLine: (stream, line) => heard.push({ stream, line }),
    });
    try {
      assert.match(fn.url, /^http:\/\/127\.0\.0\.1:\d+$/);
      const response = await fetch(`${fn.url}/some/path`, { method: "POST", body: "payload" });
      const { path, body, env, ...permissions } = await response.json();
      assert.deepEqual([path, body], ["/some/path", "payload"]);
      assert.equal(env.GIVEN, "value");
      assert.equal(env.FUNCTION_PROCESS_TEST_SECRET, undefined);
      assert.deepEqual(permissions, {
        net: "granted",
        read: "prompt",
        write: "prompt",
        run: "prompt",
      });
    } finally {
      Deno.env.delete("FUNCTION_PROCESS_TEST_SECRET");
      await stopped(fn);
    }
    assert.deepEqual(fn.lines.filter(({ stream }) => stream === "stdout"), [
      { stream: "stdout", line: `boot ${version}` },
    ]);
    assert.deepEqual(fn.lines.filter(({ stream }) => stream === "stderr"), [
      { stream: "stderr", line: "to stderr" },
      { stream: "stderr", line: "in two lines" },
    ]);
    assert.deepEqual(heard, fn.lines);
  });

  Deno.test(`function process on Deno ${version}: every form of Deno.serve listens`, async () => {
    for (
      const call of [
        `Deno.serve({ onError: () => new Response("handled") }, () => { throw new Error("x"); })`,
        `Deno.serve({ handler: () => new Response("handled") })`,
        `Deno.serve({ onListen() {} }, () => new Response("handled"))`,
      ]
    ) {
      await using directory = await functionDirectory(call);
      const fn = await startFunction({ entry: directory.entry, deno: await deno(), env: {} });
      assert.equal(await (await fetch(fn.url)).text(), "handled");
      await stopped(fn);
    }
  });

  Deno.test(`function process on Deno ${version}: one that cannot start says why`, async () => {
    const start = async (source: string, options = {}) => {
      await using directory = await functionDirectory(source);
      const fn = await startFunction({
        entry: directory.entry,
        deno: await deno(),
        env: {},
        ...options,
      });
      await fn.stop();
    };
    await assert.rejects(
      start(`throw new Error("no configuration");`),
      /^Error: The function ended with code 1 before it listened .*index\.ts[^]*no configuration/,
    );
    await assert.rejects(start(`import "../missing.ts";`), /ended with code 1[^]*missing\.ts/);
    await assert.rejects(
      start(`console.log("waiting"); await new Promise(() => setInterval(() => {}, 1e6));`, {
        startTimeoutMs: 2_000,
      }),
      /did not listen within 2000 ms[^]*waiting/,
    );
  });

  Deno.test(`function process on Deno ${version}: a crash is seen, and stopping is safe`, async () => {
    await using directory = await functionDirectory(`
      Deno.serve((request) => {
        if (request.url.endsWith("/exit")) Deno.exit(3);
        return new Response("up");
      });
    `);
    const options = { entry: directory.entry, deno: await deno(), env: {} };
    const crashed = await startFunction(options);
    await assert.rejects(fetch(`${crashed.url}/exit`), TypeError);
    assert.equal((await crashed.status).code, 3);
    assert.equal((await crashed.stop()).code, 3);

    const killed = await startFunction({ ...options, port: Number(new URL(crashed.url).port) });
    assert.equal(killed.url, crashed.url);
    assert.equal((await killed.kill()).signal, "SIGKILL");
    assert.equal((await killed.kill()).signal, "SIGKILL");
  });

  Deno.test(`function process on Deno ${version}: it retires as on the platform`, async () => {
    await using directory = await functionDirectory(`
      addEventListener("beforeunload", (event) => {
        console.log("unload", event.detail.reason);
        EdgeRuntime.waitUntil(new Promise((resolve) => setTimeout(resolve, 10))
          .then(() => console.log("handed over")));
      });
      Deno.serve(() => new Response("up"));
    `);
    const fn = await startFunction({ entry: directory.entry, deno: await deno(), env: {} });
    assert.equal((await fn.retire("wall_clock")).code, 0);
    assert.deepEqual(fn.lines.map(({ line }) => line), ["unload wall_clock", "handed over"]);
  });

  Deno.test(`function process on Deno ${version}: it goes when its parent is killed`, async () => {
    await using directory = await functionDirectory(`Deno.serve(() => new Response("up"));`);
    for (const watch of [false, true]) {
      const parent = new Deno.Command(Deno.execPath(), {
        args: [
          "eval",
          `import { startFunction } from ${
            JSON.stringify(import.meta.resolve("../../dev/stack/function/mod.ts"))
          };
          const fn = await startFunction(${
            JSON.stringify({ entry: directory.entry, deno: await deno(), env: {}, watch })
          });
          console.log(fn.url);`,
        ],
        stdout: "piped",
      }).spawn();
      const reader = parent.stdout.pipeThrough(new TextDecoderStream()).getReader();
      const url = (await reader.read()).value?.trim() ?? "";
      assert.equal(await listens(url), true);
      parent.kill("SIGKILL");
      await parent.status;
      await until(async () => !await listens(url));
      await reader.cancel();
    }
  });

  Deno.test(`function process on Deno ${version}: watch restarts it at the same address`, async () => {
    const answer = (text: string) => `Deno.serve(() => new Response(${JSON.stringify(text)}));`;
    await using directory = await functionDirectory(answer("before"));
    const fn = await startFunction({
      entry: directory.entry,
      deno: await deno(),
      env: {},
      watch: true,
    });
    const text = () => fetch(fn.url).then((response) => response.text(), () => "not listening");
    try {
      assert.equal(await text(), "before");
      await Deno.writeTextFile(directory.entry, answer("after"));
      await until(async () => await text() === "after");
    } finally {
      await stopped(fn);
    }
  });
}

Deno.test("function process: the environment chooses the Deno that runs it", async () => {
  assert.equal(await resolveFunctionDeno({}), Deno.execPath());
  assert.equal(await resolveFunctionDeno({ FUNCTION_DENO: "/opt/deno" }), "/opt/deno");
  const path = await resolveFunctionDeno({ FUNCTION_DENO_VERSION: HOSTED_DENO_VERSION });
  assert.notEqual(path, Deno.execPath());
  const { stdout } = await new Deno.Command(path, { args: ["--version"] }).output();
  assert.match(new TextDecoder().decode(stdout), new RegExp(`^deno ${HOSTED_DENO_VERSION} `));
  await assert.rejects(resolveFunctionDeno({ FUNCTION_DENO_VERSION: "newest" }), /no version/);
  await assert.rejects(
    resolveFunctionDeno({ FUNCTION_DENO: "x", FUNCTION_DENO_VERSION: HOSTED_DENO_VERSION }),
    /not both/,
  );
});
