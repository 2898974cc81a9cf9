/**
 * An app of its own for each machine, with the machine's name and a private network of that name:
 * what Fly.io advises for machines of different users.
 * https://fly.io/docs/machines/guides-examples/one-app-per-user-why/
 */
import {
  type AddressType,
  assignAddress,
  createApp,
  deleteApp,
  getApp,
  listAddressTypes,
  listApps,
  listOrgMachines,
  type OrgMachine,
  type OrgMachinePage,
} from "../fly/apps.ts";
import { FlyError, toProvisioningError } from "../fly/errors.ts";
import { hasNameOf } from "../fly/identity.ts";
import { backoffMs, sleep } from "../time.ts";
import type { FlyContext, Found, HostedRow, Hosting, PrepareContext } from "./hosting.ts";
import { bucketOf, isOurApp } from "./whose-app.ts";

/**
 * How often a step may fail for each reason. A refusal for going too fast costs Fly.io nothing and is
 * over soon; a new app is known everywhere within seconds.
 */
const MAX_FAILURES = { rateLimited: 20, notReadyYet: 10, other: 5 };
/** More pages than any organisation has: an endless list must not hold up the run. */
const MAX_PAGES = 1_000;
/** Fly.io's limit of a call per second, where it counts this one at all. */
const PAGE_PAUSE_MS = 1_000;
/** Free, and enough for HTTPS and WebSockets. https://fly.io/docs/networking/services/ */
const ADDRESSES: readonly AddressType[] = ["shared_v4", "v6"];

export interface OwnAppOptions {
  orgSlug: string;
  namePrefix: string;
  addressTemplate: string;
  /** Behind a router the app needs no public address. */
  hasRouter: boolean;
}

export function ownApps(options: OwnAppOptions): Hosting {
  const { orgSlug, namePrefix, addressTemplate, hasRouter } = options;
  // Fly.io publishes no limit for creating apps; this keeps to one per second anyway.
  const createBucket = bucketOf(orgSlug);
  return {
    claim: { buckets: [createBucket], ownApp: true, namePrefix },
    addressTemplate,
    // Seen by clients: 30 to 60 seconds, sometimes minutes.
    addressNote: hasRouter ? null : "its address may take a minute to resolve, so keep trying",

    prepare: (context, row) =>
      untilDone(
        context,
        "app create",
        ({ last }) => createOrAdoptApp(context, row.fly_app_name, { orgSlug, last }),
      ),
    async makeReachable(context, row) {
      if (hasRouter) return;
      await untilDone(context, "address", (attempt) => assignMissing(context, row, attempt));
    },
    // Seen by several clients within seconds of an app's creation.
    isNotReadyYet: (failure) => failure.appIsUnknown || failure.status === 401,

    async list(context, tag) {
      const { fly, deadline } = context;
      const [apps, { machines, complete }] = await Promise.all([
        listApps(fly, orgSlug, { deadline }),
        listAllMachines(context, orgSlug),
      ]);
      const found = new Map<string, Found>();
      for (const { name } of apps) {
        if (hasNameOf(tag, name)) found.set(name, foundApp(name, createBucket));
      }
      for (const machine of machines) {
        const { id, name, app_name: app, state, created_at } = machine;
        // In an app of ours, but not made by us: it goes with its app.
        if (!hasNameOf(tag, app) || name !== app) continue;
        found.set(app, {
          ...foundApp(app, createBucket),
          flyMachineId: id,
          state,
          createdAt: created_at ?? null,
        });
      }
      return { found: [...found.values()], complete };
    },
    confirm: async ({ fly, deadline }, { app }) =>
      isOurApp(await getApp(fly, app, { deadline }), { name: app, organization: orgSlug }),
    destroyFound: ({ fly, deadline }, { app }) => deleteApp(fly, app, { deadline }),
    listLive: (ownership, page, deadline) => ownership.listLive({ app: null, ...page }, deadline),

    async checkHealth({ fly, deadline }) {
      const name = "fly:organization";
      try {
        await listApps(fly, orgSlug, { deadline });
        return [{ name, status: "pass" }];
      } catch (error) {
        if (!(error instanceof FlyError)) throw error;
        const hint = error.code === "fly_unauthorized"
          ? ": apps of their own need an organisation token (fly tokens create org)"
          : "";
        return [{ name, status: "fail", output: `${error.message}${hint}` }];
      }
    },
  };
}

/** An app without a machine, or before its machine is known. */
function foundApp(name: string, createBucket: string): Found {
  return {
    key: name,
    name,
    app: name,
    createBucket,
    flyMachineId: null,
    state: "created",
    createdAt: null,
  };
}

/**
 * The same key with the same name gives the first app back, so a lost answer costs nothing; with
 * another name it is refused, so each name has a key of its own. `last`: it will not be tried again.
 */
async function createOrAdoptApp(
  { fly, deadline }: PrepareContext,
  name: string,
  { orgSlug, last }: { orgSlug: string; last: boolean },
): Promise<"ready" | "foreign"> {
  try {
    await createApp(fly, { name, orgSlug, network: name, idempotencyKey: name }, { deadline });
  } catch (error) {
    if (!(error instanceof FlyError) || !error.nameIsTaken) throw error;
    const existing = await getApp(fly, name, { deadline }).catch((refusal) => {
      if (!(refusal instanceof FlyError)) throw refusal;
      // In an organisation that our token does not see.
      if (refusal.status === 403) return { name, network: null };
      // What a new app may be answered with, and no token that may ask for one.
      if (refusal.status === 401) return null;
      throw refusal;
    });
    // Ours and not visible yet, or a stranger's that is hidden: only a later lookup can show which.
    if (existing === null && !last) throw error;
    return isOurApp(existing, { name, organization: orgSlug }) ? "ready" : "foreign";
  }
  return "ready";
}

/** Page by page; each has a limit of its own at Fly.io, which is waited for. Throws {@link FlyError}. */
async function listAllMachines(
  { runtime, fly, deadline }: FlyContext,
  orgSlug: string,
): Promise<Omit<OrgMachinePage, "nextCursor">> {
  const machines: OrgMachine[] = [];
  let complete = true;
  let cursor: string | null = null;
  for (let pages = 0; pages < MAX_PAGES;) {
    try {
      const page: OrgMachinePage = await listOrgMachines(fly, { orgSlug, cursor }, { deadline });
      machines.push(...page.machines);
      complete &&= page.complete;
      cursor = page.nextCursor;
      pages++;
      if (cursor === null) return { machines, complete };
    } catch (error) {
      const limited = error instanceof FlyError && error.code === "fly_rate_limited";
      if (!limited || deadline.remainingMs() <= PAGE_PAUSE_MS) throw error;
      await sleep(runtime.clock, Math.max(error.retryAfterMs ?? 0, PAGE_PAUSE_MS));
    }
  }
  return { machines, complete: false };
}

/**
 * A new app has no address. Repeating a POST can be refused or assign a second one, so what is there is
 * listed before another attempt.
 */
async function assignMissing(
  { fly, deadline }: PrepareContext,
  { fly_app_name: app }: HostedRow,
  { first }: { first: boolean },
): Promise<void> {
  const assigned = first ? new Set<AddressType>() : await listAddressTypes(fly, app, { deadline });
  // All have ended before the list is read again.
  const results = await Promise.allSettled(
    ADDRESSES.filter((type) => !assigned.has(type)).map(async (type) => {
      try {
        await assignAddress(fly, app, type, { deadline });
      } catch (error) {
        const has = error instanceof FlyError && (error.status === 409 || error.status === 422) &&
          /already/i.test(error.body ?? "");
        if (!has) throw error;
      }
    }),
  );
  for (const result of results) if (result.status === "rejected") throw result.reason;
}

/** Repeats what is safe to repeat. `first`: of all attempts; `last`: another failure is final. Throws {@link AppError}. */
async function untilDone<T>(
  { runtime, deadline, log, measurements, awaitTurn }: PrepareContext,
  what: string,
  step: (attempt: { first: boolean; last: boolean }) => Promise<T>,
): Promise<T> {
  // Each on its own: refusals must leave the patience for a lost answer as it was.
  const failures = { rateLimited: 0, notReadyYet: 0, other: 0 };
  for (let attempt = 1;; attempt++) {
    try {
      return await step({ first: attempt === 1, last: failures.other === MAX_FAILURES.other - 1 });
    } catch (error) {
      if (!(error instanceof FlyError)) throw error;
      error.attempt = attempt;
      const kind = error.code === "fly_rate_limited"
        ? "rateLimited"
        : error.appIsUnknown
        ? "notReadyYet"
        : "other";
      const times = ++failures[kind];
      const waitMs = backoffMs(runtime, times, error.retryAfterMs);
      const canHelp = error.mayHaveTakenEffect || kind !== "other";
      if (!canHelp || times >= MAX_FAILURES[kind] || waitMs >= deadline.remainingMs()) {
        measurements.failedCall(what, error);
        throw toProvisioningError(error, deadline);
      }
      const queues = kind === "rateLimited" && error.method === "POST";
      const next = queues ? "waiting for its turn" : `trying again in ${waitMs} ms`;
      measurements.failedCall(what, error, next);
      log.deferWarning(`Fly.io ${what} failed, ${next}: ${error.message}`, {
        attempt,
        flyRequestId: error.flyRequestId,
      });
      if (queues) await awaitTurn(error.retryAfterMs ?? 0);
      else await sleep(runtime.clock, waitMs);
    }
  }
}
