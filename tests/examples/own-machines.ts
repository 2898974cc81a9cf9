// Users who each have a machine in an app of its own: provisioned by the function as a process, in
// front of them Fly Proxy and, for half of them, examples/router. Every second machine runs an image
// that admits anyone and says so: what a user may put on a machine, and what a lost connection shows.
import assert from "node:assert/strict";
import {
  PROMPT_PROXY_SETTINGS,
  type Random,
  seededRandom,
  serveFlyProxy,
} from "../../dev/stack/fly/mod.ts";
import { HOSTILE_IMAGE } from "../support/fly-proxy.ts";
import { deployMachine, deployRouter, ORGANIZATION, ROUTER_APP } from "../support/operator-apps.ts";
import type { RunningFunction } from "../support/running-function.ts";
import { FLY_APP, IMAGE, type Stack, startStack } from "../support/stack.ts";
import { inParallel } from "./in-parallel.ts";

export const WAYS = ["direct", "router"] as const;
/** How users reach their machines: at its own app's name, or at the router's. */
export type Way = typeof WAYS[number];

const ROUTER_ADDRESS = `wss://${ROUTER_APP}.fly.dev`;
const PROVISIONS_AT_ONCE = 4;
/** A token is valid for a minute; a connection that waits for its turn must not find it expired. */
const TOKEN_REUSED_MS = 40_000;

/** A way and an image, and the function whose settings ask for both. */
interface Kind {
  way: Way;
  admitsAnyone: boolean;
  fn: RunningFunction;
}

/** A user, the machine that is theirs, and their tokens for it. */
export class Owner {
  #askedAt = 0;
  #token: Promise<string> | undefined;

  constructor(
    readonly way: Way,
    readonly admitsAnyone: boolean,
    readonly userId: string,
    readonly machine: { id: string; flyId: string; address: string },
    private readonly issue: () => Promise<string>,
  ) {}

  /** A token of POST …/connect, the same one again while it is fresh. */
  token(): Promise<string> {
    const now = Date.now();
    if (this.#token === undefined || now - this.#askedAt > TOKEN_REUSED_MS) {
      this.#askedAt = now;
      this.#token = this.issue();
    }
    return this.#token;
  }
}

export interface OwnMachines extends AsyncDisposable {
  owners: Owner[];
  random: Random;
  /** Where a connection to the router goes for this machine, whatever its own address is. */
  routerAddress(machineId: string): string;
  /**
   * The local form of an address at Fly.io: there is no DNS here, so the host is the first part of
   * the path (dev/stack/fly/proxy/README.md).
   */
  local(address: string): string;
}

/** Starts everything and provisions a machine for each of `users` users. */
export async function startOwnMachines(users: number, seed: number): Promise<OwnMachines> {
  await using parts = new AsyncDisposableStack();
  const random = seededRandom(seed);
  const stack = parts.use(
    await startStack({
      env: { FLY_ORG_SLUG: ORGANIZATION },
      fly: { random, settings: { newAppDelayMs: 0 } },
    }),
  );
  const proxy = parts.adopt(
    await serveFlyProxy(stack.simulator, {
      publicApps: [FLY_APP],
      settings: PROMPT_PROXY_SETTINGS,
      inProcess: true,
    }),
    (started) => started.shutdown(),
  );
  await deployRouter(stack);
  // Left from when all users shared an app: an address that is not a machine's own may lead here.
  await deployMachine(stack, { app: FLY_APP, image: HOSTILE_IMAGE });
  const kinds = await startKinds(stack, parts);
  const owners = await inParallel(
    Array.from({ length: users }, (_, index) => kinds[index % kinds.length]),
    PROVISIONS_AT_ONCE,
    (kind) => {
      assert.ok(kind);
      return provision(stack, kind);
    },
  );
  const started = parts.move();
  return {
    owners,
    random,
    routerAddress: (machineId) => `${ROUTER_ADDRESS}/${machineId}`,
    local(address) {
      const [, host = "", rest = ""] = /^wss:\/\/([^/?]+)(.*)$/s.exec(address) ?? [];
      return `ws://127.0.0.1:${proxy.port}/host/${host}${rest}`;
    },
    [Symbol.asyncDispose]: () => started.disposeAsync(),
  };
}

/** A function with the settings of each kind, all beside one another on one database. */
function startKinds(stack: Stack, parts: AsyncDisposableStack): Promise<Kind[]> {
  return Promise.all([IMAGE, HOSTILE_IMAGE].flatMap((image) =>
    WAYS.map(async (way) => ({
      way,
      admitsAnyone: image === HOSTILE_IMAGE,
      fn: parts.use(
        await stack.start({
          DOCKER_IMAGE: image,
          FLY_ROUTER_URL: way === "router" ? ROUTER_ADDRESS : undefined,
        }),
      ),
    }))
  ));
}

async function provision(stack: Stack, { way, admitsAnyone, fn }: Kind): Promise<Owner> {
  const user = await stack.supabase.createUser();
  const { status, body } = await fn.call(user, { body: {} });
  assert.equal(status, 200, JSON.stringify(body));
  const machine = { id: body.machineId, flyId: body.flyMachineId, address: body.websocketUrl };
  return new Owner(way, admitsAnyone, user.id, machine, async () => {
    const answer = await fn.call(user, { path: `/${machine.id}/connect` });
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    assert.equal(answer.body.websocketUrl, machine.address);
    stack.secrets.add("a connect token", answer.body.token);
    return answer.body.token;
  });
}
