/**
 * How Fly.io words its refusals, and what each means. The text and the body's `status` decide, not
 * the HTTP status: the same 403, 409, 412 or 422 stands for several of them, and for some the
 * number was never published.
 */
import type { ProvisioningErrorCode } from "../errors.ts";

/** What a refusal means: where to go on, how long to wait, or who has to act. */
export type Refusal = keyof typeof MEANINGS;

interface Meaning {
  code: ProvisioningErrorCode;
  /** What the caller can do, where the code's own hint does not fit. */
  hint?: string;
  /** When a later try can help, in seconds, where the code itself promises nothing. */
  retryAfterSeconds?: number;
}

/** The code of each meaning. */
export const MEANINGS = {
  /** Billing, an ended trial, or a limit over all apps: no region helps. */
  account_limit: { code: "fly_account_limit" },
  /** The organisation has used up what it may use in this region. */
  region_quota: {
    code: "fly_capacity",
    hint: "The service may use no more of this region; choose another region",
  },
  /** The region takes nothing new any more. */
  region_retired: {
    code: "fly_capacity",
    hint: "Fly.io has closed this region to new machines; choose another region",
  },
  /** The region, or the host, has no room. */
  no_room: { code: "fly_capacity" },
  /** The registry does not have the image, or not yet: a push takes up to a minute to arrive. */
  image_missing: {
    code: "fly_rejected",
    hint: "Fly.io does not find the machine's image; if it was just pushed, try again in a minute",
    retryAfterSeconds: 60,
  },
  /** Something else works on the machine, or its host takes nothing at the moment. */
  busy: { code: "fly_unavailable" },
  /** A start of a machine that is about to be up, or is up. */
  already_starting: { code: "fly_unavailable" },
  /** The machine's state does not allow it. */
  wrong_state: { code: "fly_rejected" },
  /** Names are random, so ours is taken by our own create: it may only not be visible yet. */
  name_taken: { code: "fly_unavailable" },
} as const satisfies Record<string, Meaning>;

interface Wording {
  means: Refusal;
  /** Looked for in the whole body, so in `error`, `message` and `status` alike. */
  text: RegExp;
  /** Where the number matters too. */
  statuses?: readonly number[];
}

/** The first that fits counts. */
const WORDINGS: readonly Wording[] = [
  // 422, recorded by ampbase-io/terraform-provider-fly and in community.fly.io/t/20636.
  { means: "account_limit", text: /reached its machine limit|billing@fly\.io/i },
  // superfly/flyctl#2060, superfly/flyctl#981, superfly/docs#2369: the statuses are not published.
  { means: "account_limit", text: /add a payment method|payment method required/i },
  { means: "account_limit", text: /need your payment information/i },
  // Every call of an organisation after its trial, https://fly.io/docs/about/free-trial/; the text
  // ends in "by visiting https://fly.io/trial".
  { means: "account_limit", text: /trial has ended|add a credit card/i },

  // 403, recorded in Kilo-Org/cloud#516.
  { means: "region_quota", text: /over the allowed quota/i },

  // Recorded in superfly/docs#2171; the status is not.
  { means: "region_retired", text: /cannot have new resources provisioned/i },

  // The two values of `status` that mean it, under 409, 412, 422 and 503:
  // https://docs.machines.dev/ and fly-go, flaps/flaps_error_test.go.
  { means: "no_room", text: /insufficient_capacity|volume_placement_capacity/i },
  // 409 and 412, recorded in Kilo-Org/cloud#388 and #412; flyctl, internal/command/machine/start.go.
  { means: "no_room", text: /insufficient (resources|memory|cpus?|ips|capacity)\b/i },
  { means: "no_room", text: /could not reserve resource for machine/i },
  { means: "no_room", text: /governor policy blocked start/i },
  // 400, recorded in Kilo-Org/cloud#787; 503 in fly-go, flaps/flaps_error_test.go.
  { means: "no_room", text: /\b(no|out of) capacity\b/i },

  // 400 and 404, recorded by ampbase-io/terraform-provider-fly.
  { means: "image_missing", text: /MANIFEST_UNKNOWN|could not find image/i, statuses: [400, 404] },

  // 409 with `message` instead of `error`, recorded in community.fly.io/t/15555.
  { means: "busy", text: /lease currently held/i },
  // 412 "machine still active, refusing to start", and the same of one "getting replaced"; 409
  // "machine still attempting to start". Recorded more often than their numbers.
  { means: "busy", text: /refusing to start/i },
  { means: "already_starting", text: /still attempting to start/i },
  // 412, recorded in hexclave/hexclave#2060 for a start; also 400 and 409.
  { means: "wrong_state", text: /machine from current state/i },
  // 503, recorded in superfly/flyctl#3732.
  { means: "busy", text: /deploys to this host are temporarily disabled/i },

  // 409 for a machine, recorded in Kilo-Org/cloud#1135; 422 for an app, fly-go, flaps/flaps_error.go.
  {
    means: "name_taken",
    text: /already[_ ]exists|name_taken|has already been taken|uniqueness/i,
    statuses: [409, 422],
  },
];

/** What an error answer means; undefined when its text says nothing beyond its status. */
export function refusalOf(status: number, body: string): Refusal | undefined {
  return WORDINGS.find(({ text, statuses }) =>
    text.test(body) && (statuses === undefined || statuses.includes(status))
  )?.means;
}

/** What is known of a meaning. */
export function meaningOf(refusal: Refusal): Meaning {
  return MEANINGS[refusal];
}
