/** Tokens of the simulator: whose, for what, until when (fly.io/docs/security/tokens). */
import assert from "node:assert/strict";
import { z } from "zod";
import { MACHINE, virtualSimulator } from "../support/fly-simulator.ts";

const as = (token: string) => ({ authorization: `Bearer ${token}` });
const tokensSchema = z.object({
  tokens: z.array(z.looseObject({ org_slug: z.string(), apps: z.array(z.string()).optional() })),
});

Deno.test("an organization's token makes and deletes apps; a deploy or read-only token does not", async () => {
  const { send } = virtualSimulator({
    tokens: [
      "whole",
      { token: "deploy", apps: ["demo"] },
      { token: "reader", readOnly: true },
      { token: "stranger", organization: "stranger" },
    ],
  });
  const app = { name: "shop", org_slug: "personal" };
  const statuses = async (token: string) => [
    (await send("POST /v1/apps", app, as(token))).status,
    (await send("GET /v1/apps?org_slug=personal", undefined, as(token))).status,
    (await send("GET /v1/apps/demo", undefined, as(token))).status,
    (await send("POST /machines", { config: MACHINE.config }, as(token))).status,
    (await send("POST /deploy_token", {}, as(token))).status,
    (await send("DELETE /v1/apps/demo?force=true", undefined, as(token))).status,
  ];
  assert.deepEqual(await statuses("stranger"), [403, 403, 403, 403, 403, 403]);
  assert.deepEqual(await statuses("reader"), [403, 200, 200, 403, 403, 403]);
  assert.deepEqual(await statuses("deploy"), [403, 403, 200, 200, 403, 403]);
  assert.deepEqual(await statuses("whole"), [201, 200, 200, 200, 200, 202]);
});

Deno.test("a token expires with 401, a person's with 403 (surge), and a list holds while one of it does", async () => {
  const { clock, simulator, send } = virtualSimulator();
  const expiresAtMs = clock.now() + 1000;
  simulator.setToken({ token: "short", expiresAtMs });
  simulator.setToken({ token: "person", expiresAtMs, expiredStatus: 403 });
  const status = async (token: string) => (await send("GET ", undefined, as(token))).status;
  const list = "short,fly-simulator-token";
  assert.deepEqual([await status("short"), await status("person"), await status(list)], [
    200,
    200,
    200,
  ]);
  await clock.advance(1000);
  assert.deepEqual([await status("short"), await status("person"), await status(list)], [
    401,
    403,
    200,
  ]);
});

Deno.test("tokens/current says which organization and which apps (OpenAPI), and 401 for a bad token", async () => {
  const { send } = virtualSimulator({
    tokens: ["whole", { token: "deploy", apps: ["demo"], organization: "shop" }],
  });
  const current = async (token: string) =>
    tokensSchema.parse((await send("GET /v1/tokens/current", undefined, as(token))).json)
      .tokens.map(({ org_slug: slug, apps }) => [slug, apps]);
  assert.deepEqual(await current("whole"), [["personal", undefined]]);
  assert.deepEqual(await current("deploy,whole"), [["personal", undefined], ["shop", ["demo"]]]);
  assert.equal((await send("GET /v1/tokens/current", undefined, as("bad"))).status, 401);
});

Deno.test("a deploy token is made for one app and expires", async () => {
  const { clock, send } = virtualSimulator({ apps: ["demo", "other"] });
  const made = await send("POST /deploy_token", { expiry: "24h" });
  const { token } = z.object({ token: z.string().startsWith("FlyV1 ") }).parse(made.json);
  const status = async (app: string) =>
    (await send(`GET /v1/apps/${app}`, undefined, { authorization: token })).status;
  assert.deepEqual([await status("demo"), await status("other")], [200, 403]);
  await clock.advance(24 * 3_600_000);
  assert.equal(await status("demo"), 401);
  assert.equal((await send("POST /deploy_token", { expiry: "soon" })).status, 400);
});
