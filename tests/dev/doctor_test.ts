/**
 * `deno task doctor` on the local stack: a sound project is green, and each planted mistake is named with
 * what mends it. What only a hosted database has is in tests/postgres/doctor_test.ts.
 */
import assert from "node:assert/strict";
import { parseImage } from "../../dev/tasks/doctor/checks/image.ts";
import { examine, type Result } from "../../dev/tasks/doctor/doctor.ts";
import { openSubject } from "../../dev/tasks/doctor/subject.ts";
import { FLY_MISTAKES } from "../support/doctor-fly-mistakes.ts";
import { SOUND_AUTH, type Variables, type World } from "../support/doctor-mistake.ts";
import { PROJECT_MISTAKES } from "../support/doctor-project-mistakes.ts";
import { serveRegistry } from "../support/registry.ts";
import { CONNECT_SECRET, FLY_APP, FLY_TOKEN, startStack } from "../support/stack.ts";

Deno.test("doctor: a sound project is green, and each planted mistake is named", async (t) => {
  await using registry = serveRegistry(["machine:1"]);
  const own = { FLY_ORG_SLUG: "personal", ALERT_WEBHOOK_URL: "http://127.0.0.1:1/hook" };
  await using stack = await startStack({ env: own });
  const world: World = { stack, registry: registry.host };
  await stack.reconcile();
  const sound: Variables = {
    SUPABASE_URL: stack.supabase.url,
    SUPABASE_SECRET_KEY: stack.supabase.secretKey,
    FLY_API_TOKEN: FLY_TOKEN,
    FLY_API_HOSTNAME: stack.fly.url,
    FLY_APP_NAME: FLY_APP,
    DOCKER_IMAGE: `${registry.host}/machine:1`,
    CONNECT_TOKEN_SECRET: CONNECT_SECRET,
    MACHINE_AUTOSTOP: "stop",
    ...own,
  };

  await t.step("a sound project", async () => {
    const results = await look(sound);
    assert.deepEqual(results.flatMap(({ problems }) => problems), []);
    // The database of this stack has no address; everything else was looked at.
    assert.deepEqual(results.filter(({ skipped }) => skipped !== null).map(({ check }) => check), [
      "migrations",
      "schedule of reconcile",
    ]);
  });

  for (
    const { name, file = {}, plant, auth = {}, says, fix } of [
      ...FLY_MISTAKES,
      ...PROJECT_MISTAKES,
    ]
  ) {
    await t.step(name, async () => {
      const takeBack = plant?.(world) ?? (() => {});
      try {
        const results = await look(
          { ...sound, ...(typeof file === "function" ? file(world) : file) },
          { ...SOUND_AUTH, ...auth },
        );
        const found = results.flatMap(({ problems }) => problems);
        assert.equal(found.length, 1, JSON.stringify(found));
        assert.match(found[0]?.says ?? "", says);
        assert.match(found[0]?.fix ?? "", fix);
      } finally {
        takeBack();
      }
    });
  }

  await t.step("nothing that it looked at has changed", async () => {
    assert.deepEqual((await look(sound)).flatMap(({ problems }) => problems), []);
    // A run of reconcile asks for placements with a POST.
    const writes = stack.simulator.requests().filter(({ method, action }) =>
      method !== "GET" && action !== "placements"
    );
    assert.deepEqual(writes, []);
  });

  await t.step("the command: one line per problem, exit code 1, and no secret", async () => {
    const path = await Deno.makeTempFile();
    await Deno.writeTextFile(
      path,
      asFile({ ...sound, MAX_MACHINES: "50000", PROVISIONING_PAUSED: "x" }),
    );
    const main = new URL("../../dev/tasks/doctor/main.ts", import.meta.url).pathname;
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", main, "--env-file", path],
      env: { NO_COLOR: "1" },
    }).output();
    await Deno.remove(path);
    const lines = new TextDecoder().decode(stdout).split("\n");
    assert.equal(code, 1, new TextDecoder().decode(stderr));
    assert.equal(lines.filter((line) => line.startsWith("✗")).length, 3, lines.join("\n"));
    assert.ok(lines.some((line) => /^✗ {2}lids: MAX_MACHINES is 50000.*Fix: npx/.test(line)));
    stack.secrets.add("FLY_API_TOKEN", FLY_TOKEN);
    assert.deepEqual(stack.secrets.findIn(lines.join("\n")), []);
  });
});

Deno.test("doctor: the parts of an image's name", () => {
  const parts = (image: string) => Object.values(parseImage(image)).join(" ");
  const cases = [
    ["registry.fly.io/my-app:v1", "registry.fly.io my-app v1"],
    ["registry.fly.io/my-app", "registry.fly.io my-app latest"],
    ["nginx", "registry-1.docker.io library/nginx latest"],
    ["someone/image:2", "registry-1.docker.io someone/image 2"],
    ["docker.io/nginx:1", "registry-1.docker.io library/nginx 1"],
    ["localhost:5000/a/b:1", "localhost:5000 a/b 1"],
    ["ghcr.io/a/b:1@sha256:0f", "ghcr.io a/b sha256:0f"],
  ] as const;
  for (const [image, expected] of cases) assert.equal(parts(image), expected, image);
});

async function look(variables: Variables, auth: object = SOUND_AUTH): Promise<Result[]> {
  await using subject = await openSubject({ env: {}, file: asFile(variables) });
  // The local Auth confirms every address, which is what a real project must not do.
  const withAuth: typeof fetch = (input, init) =>
    String(input).endsWith("/auth/v1/settings")
      ? Promise.resolve(Response.json(auth))
      : fetch(input, init);
  return await examine({ ...subject, fetch: withAuth });
}

function asFile(variables: Variables): string {
  return Object.entries(variables).flatMap(([name, value]) =>
    value === undefined
      ? []
      : [/["'\s{]/.test(value) && !/^'/.test(value) ? `${name}='${value}'` : `${name}=${value}`]
  ).join("\n");
}
