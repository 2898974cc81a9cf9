/** POST /provision-machine: claim a row, provision the machine, answer what the row says. */
import type { Environment, Settings } from "../config/environment.ts";
import { configurationError, otherProject } from "../config/problems.ts";
import type { CreateRate } from "../database/claims.ts";
import type { Claim, ProvisioningMachine, RunningMachine } from "../database/rows.ts";
import { AppError, toAppError } from "../errors.ts";
import { openFlyClient } from "../fly/client.ts";
import { readJsonBody } from "../http/body.ts";
import { chooseHosting } from "../hosting/choose-hosting.ts";
import type { HandlerResult, RequestContext } from "../http/context.ts";
import { idempotencyKeyOf, prefersAsync } from "../http/headers.ts";
import { Deadline } from "../time.ts";
import type { ProvisionContext } from "./context.ts";
import { destroyedMeanwhile, longestSlotWaitMs, slotTooLate } from "./create-slot.ts";
import { IN_FLIGHT } from "./in-flight.ts";
import { randomNamePart } from "./machine-config.ts";
import { hashRequest, parseProvisionRequest, type ProvisionRequest } from "./parse-request.ts";
import { fitsPool, poolConfigHash } from "./pool-config.ts";
import { type PoolSource, provisionPooledMachine } from "./pooled-machine.ts";
import { ProvisionInputs } from "./provision-inputs.ts";
import { provisionMachine } from "./provision-machine.ts";
import { replay } from "./replay.ts";
import { askForAlert, claimedRow } from "./claimed-row.ts";
import { machineResponse, stoppedNote } from "./responses.ts";

/** What is kept of the request's budget for closing the row and cleaning up. */
const CLOSE_RESERVE = { share: 0.2, maxMs: 10_000 };
/** How long a broken configuration may take to be written to a row; its own timeout may be broken. */
const FALLBACK_TIMEOUT_MS = 30_000;
const FALLBACK_REGION = "iad";

/** The request's budget of time. */
interface Budget {
  /** Creating and waiting stop here. */
  workDeadline: Deadline;
  closeDeadline: Deadline;
  /** The longest that the create may wait for its slot. */
  maxSlotWaitMs: number;
}

export async function handleProvision(context: RequestContext): Promise<HandlerResult> {
  const { request, isolate, log, environment, measurements } = context;
  const { settings } = environment;
  const idempotencyKey = idempotencyKeyOf(request.headers);
  const body = await readJsonBody(request, isolate.runtime.clock);
  const regions = settings.FLY_REGIONS ?? null;
  const wanted = parseProvisionRequest(body, context.caller, { regions });
  log.identify({ userId: wanted.userId });
  if (
    context.caller.kind === "user" && context.caller.anonymous && !settings.ALLOW_ANONYMOUS_USERS
  ) {
    throw new AppError("forbidden", "Anonymous users cannot have a machine", {
      hint: "Sign in with an account first",
    });
  }
  const region = wanted.region ?? settings.FLY_REGION ?? FALLBACK_REGION;
  log.environmentCheck(environment.texts, environment.problems, {
    region,
    cpuPriority: wanted.cpuPriority,
  });

  const budget = budgetOf(context);
  const rate = {
    perSecond: settings.FLY_RATE_PER_SECOND ?? 1,
    burst: settings.FLY_RATE_BURST ?? 1,
  };
  const configHash = environment.complete && fitsPool(environment.settings, { ...wanted, region })
    ? await poolConfigHash(environment.settings, isolate.runtime)
    : null;
  const claim = await measurements.time(
    "claim",
    () => claimRow(context, { wanted, region, idempotencyKey, budget, rate, configHash }),
  );
  const row = claimedRow(claim, context);
  measurements.region = row.region;
  if ("needs_attention" in claim && claim.needs_attention) askForAlert(context);
  if (claim.outcome === "replayed") return await replay(context, row, budget.closeDeadline);
  if (claim.outcome === "fenced") throw otherProject();
  if (!environment.complete) throw configurationError(environment.problems[0]);
  const slotWaitMs = "wait_ms" in claim ? claim.wait_ms : 0;
  if (claim.outcome === "no_slot") throw slotTooLate(slotWaitMs - budget.maxSlotWaitMs);
  const pooled = claim.outcome === "claimed" && claim.pooled === true;
  if (pooled && row.status === "running") return takenFromPool(context, row);
  // The claim's answer was lost, and the row was closed before the claim was repeated.
  if (row.status !== "provisioning") throw destroyedMeanwhile();
  const { workDeadline, closeDeadline } = budget;
  const fullRegions = "full_regions" in claim ? claim.full_regions : [];
  const pace = { slotWaitMs, rate };
  const inputs = new ProvisionInputs(context, environment, wanted, pace, fullRegions);
  const more = {
    workDeadline,
    closeDeadline,
    fly: openFlyClient(isolate, environment.settings, context.trace),
    hosting: chooseHosting(environment.settings),
  };
  const source = configHash === null || !pooled
    ? null
    : poolSource(context, environment.settings, { configHash, budget, rate });
  return await provision(context, row, inputs, { ...more, source });
}

/** It was seen started while nobody had it, so this call to the database was all there was to do. */
function takenFromPool({ log, requestId }: RequestContext, row: RunningMachine): Response {
  log.machineOfPool(row.fly_machine_id, row.region);
  return machineResponse(200, row, requestId);
}

/** For when the machine of the pool that the row got cannot be started. */
function poolSource(
  { database: { pool } }: RequestContext,
  settings: Settings,
  { configHash, budget, rate }: { configHash: string; budget: Budget; rate: CreateRate },
): PoolSource {
  const { claim: { namePrefix }, addressTemplate } = chooseHosting(settings);
  const { maxSlotWaitMs } = budget;
  return {
    pool,
    wanted: {
      configHash,
      standby: settings.POOL_STATE,
      namePrefix,
      websocketUrlTemplate: addressTemplate,
      maxMachines: settings.MAX_MACHINES,
      rate,
      maxSlotWaitMs,
    },
  };
}

function budgetOf({ isolate: { runtime }, environment, startedAt }: RequestContext): Budget {
  const { PROVISION_TIMEOUT_SECONDS: seconds } = environment.settings;
  const budgetMs = seconds === undefined ? FALLBACK_TIMEOUT_MS : seconds * 1_000;
  const closeReserveMs = Math.min(CLOSE_RESERVE.maxMs, budgetMs * CLOSE_RESERVE.share);
  const closeDeadline = new Deadline(runtime.clock, startedAt + budgetMs);
  const workDeadline = new Deadline(runtime.clock, closeDeadline.at - closeReserveMs);
  const workMs = closeDeadline.remainingMs() - closeReserveMs;
  return { workDeadline, closeDeadline, maxSlotWaitMs: longestSlotWaitMs(workMs) };
}

interface ClaimDetails {
  wanted: ProvisionRequest;
  region: string;
  idempotencyKey: string | null;
  budget: Budget;
  rate: CreateRate;
  /** Of the pool's machines that fit the request. */
  configHash: string | null;
}

async function claimRow(
  { isolate: { runtime }, environment, database, requestId }: RequestContext,
  { wanted, region, idempotencyKey, budget, rate, configHash }: ClaimDetails,
): Promise<Claim> {
  const { settings } = environment;
  const { closeDeadline, maxSlotWaitMs } = budget;
  const { claim: hosted, addressTemplate } = chooseHosting(settings);
  const input = {
    userId: wanted.userId,
    ...hosted,
    random: randomNamePart(runtime),
    region,
    cpuPriority: wanted.cpuPriority,
    requestId,
    projectHost: environment.platform?.projectHost ?? null,
    // Compared only with a request of the same key.
    requestHash: idempotencyKey === null ? "" : await hashRequest(wanted, runtime),
    idempotencyKey,
    buckets: settings.FLY_APP_NAME ? hosted.buckets : null,
    websocketUrlTemplate: settings.FLY_APP_NAME ? addressTemplate : null,
    machineLimit: settings.MAX_MACHINES_PER_USER ?? 1,
    maxMachines: settings.MAX_MACHINES ?? 100,
    provisionsPerHour: settings.MAX_PROVISIONS_PER_USER_PER_HOUR ?? 20,
    paused: settings.PROVISIONING_PAUSED !== undefined,
    timeoutMs: closeDeadline.remainingMs(),
    rate,
    maxSlotWaitMs,
    configHash,
    ...failureOf(environment),
  };
  try {
    return await database.claims.claim(input, closeDeadline);
  } catch (thrown) {
    // The row may have been written although no answer came, and then no request works on it.
    const error = toAppError(thrown);
    throw error.with({
      hint: `${error.hint}. A row may still say provisioning; it is repaired within minutes`,
      retry: "same_key",
    });
  }
}

/** A row for which nothing can be created is written as `error` at once. */
function failureOf(environment: Environment) {
  if (environment.complete) return {};
  const { message } = configurationError(environment.problems[0]);
  return { failure: { code: "configuration_error", message } } as const;
}

async function provision(
  context: RequestContext,
  row: ProvisioningMachine,
  inputs: ProvisionInputs,
  { source, ...more }:
    & Pick<ProvisionContext, "workDeadline" | "closeDeadline" | "fly" | "hosting">
    & {
      /** Of the machine that the row got from the pool, if it did. */
      source: PoolSource | null;
    },
): Promise<HandlerResult> {
  const { isolate, log, measurements, requestId, startedAt, database: { claims, machines } } =
    context;
  const { runtime, redactor } = isolate;
  const input = await inputs.inputFor(row);
  const shared = { runtime, redactor, claims, machines, log, measurements, requestId, startedAt };
  const working = IN_FLIGHT.of(isolate).track(
    { rowId: row.id, machines, log },
    () =>
      (source === null
        ? provisionMachine({ ...shared, ...more }, input)
        : provisionPooledMachine({ ...shared, ...more }, input, source))
        .finally(() => inputs.release()),
  );
  if (!prefersAsync(context.request.headers)) {
    // A caller who hangs up must not end the work: its row would be left to reconcile.
    runtime.waitUntil(working.catch(() => {/* thrown below */}));
    const made = await working;
    // A machine of the pool has had its address for a while.
    const isNew = source === null || made.machine_id !== row.machine_id;
    const addressNote = isNew ? more.hosting.addressNote : null;
    const note = made.status === "stopped" ? stoppedNote(made) : addressNote;
    return machineResponse(200, made, requestId, { note });
  }
  return {
    response: machineResponse(202, row, requestId, {
      headers: { "preference-applied": "respond-async" },
    }),
    background: working.then(({ status }) => status),
  };
}
