/** Ways to make a call to provision-machine fail, by the code that it must answer with. */
import { CAPACITY_VARIANT_NAMES, type FlyFault } from "../../dev/stack/fly/mod.ts";
import type { ProvisioningErrorCode } from "../../supabase/functions/provision-machine/errors.ts";
import type { Stack } from "./stack.ts";

/** Apps whose lists fail; faults of a list cannot be chosen by region. */
export const BLIND_APPS = ["lookups-break", "lookups-are-garbled"] as const;

/** Enough regions to run all failures at once, and the default one. */
export const TEST_REGIONS = [
  "iad",
  ...["qx", "qy"].flatMap((start) =>
    Array.from({ length: 26 }, (_, index) => `${start}${String.fromCharCode(97 + index)}`)
  ),
];

/** A failure at Fly.io. Each case has a region for itself, so that all of them can run at once. */
export interface FlyFailure {
  name: string;
  code: ProvisioningErrorCode;
  /** Changed environment of the function. */
  env?: Record<string, string>;
  arrange(stack: Stack, region: string): void;
  /** Whether Fly.io answered the decisive call: then its request id is logged. */
  flyAnswered: boolean;
  retryAfter?: string;
  /** What may still exist at Fly.io when the answer is sent. */
  left?: "left to reconcile";
  /** Number of errors besides the decisive one. */
  otherErrors?: number;
}

const onCreate = (effect: FlyFault): FlyFailure["arrange"] => ({ simulator }, region) =>
  void simulator.addFault({ match: { action: "create", region }, times: "always", do: effect });

/** The wait and each poll beside it, which would otherwise see that the machine started. */
const onWaitAndLook = (effect: FlyFault): FlyFailure["arrange"] => ({ simulator }, region) => {
  for (const action of ["wait", "get"] as const) {
    simulator.addFault({ match: { action, region }, times: "always", do: effect });
  }
};

const status = (status: number, error: string, headers: Record<string, string> = {}): FlyFault => ({
  kind: "status",
  status,
  body: { error },
  headers,
});

/** The create and every lookup after it fail, so that the outcome stays unknown. */
function blind(
  app: (typeof BLIND_APPS)[number],
  create: FlyFault,
  list: FlyFault,
  failure: Pick<FlyFailure, "name" | "code" | "flyAnswered">,
): FlyFailure {
  return {
    ...failure,
    env: { FLY_APP_NAME: app },
    arrange({ simulator }, region) {
      simulator.addFault({ match: { action: "create", region }, times: "always", do: create });
      const path = `/v1/apps/${app}/machines`;
      simulator.addFault({ match: { action: "list", path }, times: "always", do: list });
    },
    retryAfter: "10",
    left: "left to reconcile",
    otherErrors: 1,
  };
}

export const FLY_FAILURES: FlyFailure[] = [
  {
    name: "a token that Fly.io does not know",
    code: "fly_unauthorized",
    env: { FLY_API_TOKEN: "fo1_a-token-that-was-never-issued" },
    arrange: () => {},
    flyAnswered: true,
  },
  {
    name: "a token for another app",
    code: "fly_unauthorized",
    arrange: onCreate(status(403, "permission_denied: not authorized to access app")),
    flyAnswered: true,
  },
  {
    name: "a rate limit that lasts longer than the request",
    code: "fly_rate_limited",
    arrange: onCreate(status(429, "rate limit exceeded", { "retry-after": "200" })),
    flyAnswered: true,
    retryAfter: "200",
  },
  ...CAPACITY_VARIANT_NAMES.map((variant): FlyFailure => ({
    name: `no capacity, said as ${variant}`,
    code: "fly_capacity",
    arrange: ({ simulator }, region) => simulator.setCapacity(region, false, variant),
    flyAnswered: true,
    retryAfter: "60",
  })),
  {
    name: "an organisation over its quota in the region",
    code: "fly_capacity",
    arrange: onCreate(
      status(
        403,
        'organization "demo" is using 1970176 MB of memory in dfw which is over the allowed quota. please consider other regions',
      ),
    ),
    flyAnswered: true,
    retryAfter: "60",
  },
  {
    name: "an organisation with as many machines as Fly.io allows it",
    code: "fly_account_limit",
    arrange: onCreate(
      status(
        422,
        "Your organization has reached its machine limit. Please contact billing@fly.io",
      ),
    ),
    flyAnswered: true,
  },
  {
    name: "an image that Fly.io does not find",
    code: "fly_rejected",
    env: { PROVISION_TIMEOUT_SECONDS: "12" },
    arrange: onCreate(
      status(404, 'failed to get manifest: {"errors":[{"code":"MANIFEST_UNKNOWN"}]}'),
    ),
    flyAnswered: true,
    retryAfter: "60",
  },
  {
    name: "a configuration that Fly.io refuses",
    code: "fly_rejected",
    arrange: onCreate(status(422, "invalid config.image: no such image")),
    flyAnswered: true,
  },
  {
    name: "an app that does not exist",
    code: "fly_rejected",
    env: { FLY_APP_NAME: "no-such-app" },
    arrange: () => {},
    flyAnswered: true,
  },
  {
    name: "connections that break before the create",
    code: "fly_unavailable",
    arrange: onCreate({ kind: "reset", when: "before" }),
    flyAnswered: false,
    retryAfter: "10",
    left: "left to reconcile",
  },
  {
    name: "5xx without effect",
    code: "fly_unavailable",
    arrange: onCreate(status(502, "bad gateway")),
    flyAnswered: true,
    retryAfter: "10",
    left: "left to reconcile",
  },
  {
    name: "creates that never answer",
    code: "fly_unavailable",
    env: { FLY_REQUEST_TIMEOUT_SECONDS: "1" },
    arrange: onCreate({ kind: "hang", when: "before" }),
    flyAnswered: false,
    retryAfter: "10",
    left: "left to reconcile",
  },
  blind("lookups-break", { kind: "reset", when: "after" }, { kind: "reset", when: "before" }, {
    name: "connections that break after the create, and no lookup works",
    code: "fly_unavailable",
    flyAnswered: false,
  }),
  blind("lookups-are-garbled", { kind: "garbage" }, { kind: "garbage" }, {
    name: "garbage instead of an answer to the create, and to each lookup",
    code: "fly_invalid_response",
    flyAnswered: true,
  }),
  {
    name: "5xx to every wait",
    code: "fly_unavailable",
    arrange: onWaitAndLook(status(500, "internal server error")),
    flyAnswered: true,
    retryAfter: "10",
  },
  {
    name: "garbage instead of an answer to the wait",
    code: "fly_invalid_response",
    arrange: onWaitAndLook({ kind: "garbage" }),
    flyAnswered: true,
    retryAfter: "10",
  },
  {
    name: "answers to the wait that break off",
    code: "fly_invalid_response",
    arrange: onWaitAndLook({ kind: "half-answer" }),
    flyAnswered: true,
    retryAfter: "10",
  },
  ...(["failed", "stopped", "launch_failed"] as const).map((state): FlyFailure => ({
    name: `a machine that ends up ${state}`,
    code: "machine_failed",
    arrange: onCreate({ kind: "fails", state, exitCode: 137, reason: "OOM" }),
    flyAnswered: false,
  })),
  {
    name: "a machine that Fly.io forgets before the first lookup",
    code: "provision_timeout",
    env: { PROVISION_TIMEOUT_SECONDS: "12" },
    arrange({ simulator }, region) {
      const forgotten = status(404, "not_found: machine not found");
      const late: FlyFault = { kind: "hang", when: "before" };
      for (const [action, effect] of [["wait", forgotten], ["get", late]] as const) {
        simulator.addFault({ match: { action, region }, times: "always", do: effect });
      }
    },
    flyAnswered: true,
    retryAfter: "10",
  },
  {
    name: "a machine that does not start in time",
    code: "provision_timeout",
    env: { PROVISION_TIMEOUT_SECONDS: "12" },
    arrange: onCreate({ kind: "never-starts" }),
    flyAnswered: false,
    retryAfter: "10",
  },
];
