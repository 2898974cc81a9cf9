/** What an operator runs at Fly.io beside the users' machines, as `fly deploy` would leave it. */
import assert from "node:assert/strict";
import { allocateAddress, allowCrossNetworkReplays, setSecrets } from "../../dev/stack/fly/mod.ts";
import { WEB } from "./fly-proxy.ts";
import { caller } from "./fly-simulator.ts";
import { CONNECT_SECRET, FLY_TOKEN, type Stack } from "./stack.ts";

/** The organisation that the function is given as FLY_ORG_SLUG. */
export const ORGANIZATION = "personal";
export const ROUTER_APP = "my-router";

/** Adds a machine with an image to an app that exists. */
export async function deployMachine(
  { simulator }: Stack,
  { app, image }: { app: string; image: string },
): Promise<void> {
  const send = caller((request) => simulator.fetch(request));
  const { status, json } = await send(
    `POST /v1/apps/${app}/machines`,
    { name: `deployed-to-${app}`, region: "iad", config: { image, services: [WEB] } },
    { authorization: `Bearer ${FLY_TOKEN}` },
  );
  assert.equal(status, 200, JSON.stringify(json));
}

/**
 * Deploys examples/router for machines in apps of their own, as examples/README.md says. It runs, as
 * a process, behind the stack's Fly Proxy.
 */
export async function deployRouter(stack: Stack): Promise<void> {
  const { simulator } = stack;
  simulator.addApp(ROUTER_APP, ORGANIZATION);
  for (const type of ["shared_v4", "v6"] as const) {
    allocateAddress(simulator.world, ROUTER_APP, type);
  }
  setSecrets(simulator.world, ROUTER_APP, { CONNECT_TOKEN_SECRET: CONNECT_SECRET });
  allowCrossNetworkReplays(simulator.world, ORGANIZATION);
  await deployMachine(stack, { app: ROUTER_APP, image: `registry.fly.io/${ROUTER_APP}:v1` });
}
