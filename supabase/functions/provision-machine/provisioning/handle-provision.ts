/** POST /provision-machine: claim a row, provision the machine, answer what the row says. */
import type { Accepted, HandlerResult, RequestContext } from "../app.ts";
import { configurationError, hasProblems } from "../config/configuration-error.ts";
import type { Settings } from "../config/environment.ts";
import type { Claim, CloudMachine } from "../database/rows.ts";
import { Deadline } from "../deadline.ts";
import { AppError, toAppError } from "../errors.ts";
import { readJsonBody } from "../http/body.ts";
import { idempotencyKeyOf, prefersAsync } from "../http/request-context.ts";
import { generateMachineName } from "./machine-name.ts";
import {
  buildCreateBody,
  loggableBody,
  type MachineConfigInput,
  machineIdentity,
} from "./machine-config.ts";
import {
  hashRequest,
  invalid,
  parseProvisionRequest,
  type ProvisionRequest,
} from "./parse-request.ts";
import { longestWaitMs, noSlot } from "./await-create-slot.ts";
import {
  type ProvisionContext,
  type ProvisionInput,
  provisionMachine,
} from "./provision-machine.ts";
import { replay } from "./replay.ts";
import { limitReached, machineResponse } from "./responses.ts";
import { makeFlyClient } from "../fly/make-client.ts";

/** What is kept of the request's budget for closing the row and cleaning up. */
const CLOSE_RESERVE = { share: 0.2, maxMs: 10_000 };
/** How long a broken configuration may take to be written to a row; its own timeout may be broken. */
const FALLBACK_TIMEOUT_MS = 30_000;
const FALLBACK_REGION = "iad";

export async function handleProvision(context: RequestContext): Promise<HandlerResult> {
  context.state.provisioning = true;
  const { request, services, log, settings, problems, env, measurements, startedAt } = context;
  const idempotencyKey = idempotencyKeyOf(request.headers);
  const body = await readJsonBody(request, services.runtime.clock);
  const wanted = parseProvisionRequest(body, context.caller, {
    regions: settings.FLY_REGIONS ?? null,
  });
  log.identify({ userId: wanted.userId });
  const region = wanted.region ?? settings.FLY_REGION ?? FALLBACK_REGION;
  log.environmentCheck(env, problems, { region, cpuPriority: wanted.cpuPriority });

  const failure = hasProblems(problems) ? configurationError(problems) : undefined;
  const budgetMs = (settings.PROVISION_TIMEOUT_SECONDS ?? FALLBACK_TIMEOUT_MS / 1_000) * 1_000;
  const closeDeadline = new Deadline(services.runtime.clock, startedAt + budgetMs);
  const waitAtMostMs = longestWaitMs(closeDeadline.remainingMs() - closeReserveMs(budgetMs));
  const rate = {
    perSecond: settings.FLY_RATE_PER_SECOND ?? 1,
    burst: settings.FLY_RATE_BURST ?? 1,
  };
  const claim = await measurements.time("claim", async () =>
    await context.database.machines.claim({
      userId: wanted.userId,
      machineId: generateMachineName(services.runtime),
      region,
      cpuPriority: wanted.cpuPriority,
      requestId: context.requestId,
      // Compared only with a request of the same key.
      requestHash: idempotencyKey === null ? "" : await hashRequest(wanted),
      idempotencyKey,
      flyAppNames: settings.FLY_APP_NAME ?? null,
      websocketUrlTemplate: settings.FLY_APP_NAME ? settings.WEBSOCKET_URL_TEMPLATE ?? null : null,
      machineLimit: settings.MAX_MACHINES_PER_USER ?? 1,
      timeoutMs: closeDeadline.remainingMs(),
      rate,
      waitAtMostMs,
      ...(failure ? { failure: { code: "configuration_error", message: failure.message } } : {}),
    }, closeDeadline).catch((error) => {
      throw claimUnanswered(error);
    }));

  const row = claimedRow(claim, context);
  measurements.region = row.region;
  if (claim.outcome === "replayed") return await replay(context, row, closeDeadline);
  if (failure) throw failure;
  const waitMs = "wait_ms" in claim ? claim.wait_ms : 0;
  if (claim.outcome === "no_slot") throw noSlot(waitMs - waitAtMostMs);
  const workDeadline = new Deadline(
    services.runtime.clock,
    closeDeadline.at - closeReserveMs(budgetMs),
  );
  return await provision(context, wanted, settings as Settings, {
    row,
    slotInMs: waitMs,
    rate,
    workDeadline,
    closeDeadline,
  });
}

/** The row may have been written although nothing came back, and then nobody works on it. */
function claimUnanswered(thrown: unknown): AppError {
  const error = toAppError(thrown);
  return new AppError(error.code, error.message, {
    message: `${error.hint}. A row may still say provisioning; it is repaired within minutes`,
    ...(error.retryAfterSeconds === undefined
      ? {}
      : { retryAfterSeconds: error.retryAfterSeconds }),
    cause: error.cause,
  });
}

/** The claimed or replayed row. Throws {@link AppError} when there is none to go on with. */
function claimedRow(claim: Claim, context: RequestContext): CloudMachine {
  if (claim.outcome === "unknown_user") {
    if (context.caller.kind === "user") {
      throw new AppError("unauthorized", "The signed-in user no longer exists", {
        message: "Sign in again",
        headers: { "www-authenticate": "Bearer" },
      });
    }
    throw invalid([{ path: "userId", message: "no user has this id" }]);
  }
  const { machine } = claim;
  if (claim.outcome === "limit_reached") throw limitReached(machine);
  context.state.machineId = machine.machine_id;
  context.log.identify({ machineId: machine.machine_id });
  if (claim.outcome === "key_reused") {
    throw new AppError(
      "idempotency_key_reused",
      "This Idempotency-Key was used for another request",
      {
        message: "Send the original request again, or a new key",
      },
    );
  }
  return machine;
}

function closeReserveMs(budgetMs: number): number {
  return Math.min(CLOSE_RESERVE.maxMs, budgetMs * CLOSE_RESERVE.share);
}

async function provision(
  context: RequestContext,
  wanted: ProvisionRequest,
  settings: Settings,
  claimed:
    & Pick<ProvisionInput, "row" | "slotInMs" | "rate">
    & Pick<ProvisionContext, "workDeadline" | "closeDeadline">,
): Promise<HandlerResult> {
  const { services, log, measurements, requestId, startedAt, database } = context;
  const { row, slotInMs, rate, workDeadline, closeDeadline } = claimed;
  const config: MachineConfigInput = {
    machineId: row.machine_id,
    userId: wanted.userId,
    region: row.region,
    cpuPriority: wanted.cpuPriority,
    image: settings.DOCKER_IMAGE,
    port: settings.MACHINE_PORT,
    extraEnv: settings.MACHINE_ENV,
    identity: machineIdentity(settings.SUPABASE_URL, row.id),
  };
  const body = buildCreateBody(config);
  const work = () =>
    services.unfinished.track(
      { rowId: row.id, machines: database.machines, log },
      () =>
        provisionMachine({
          runtime: services.runtime,
          fly: makeFlyClient(services, settings, context.trace),
          machines: database.machines,
          redactor: services.redactor,
          workDeadline,
          closeDeadline,
          log,
          measurements,
          requestId,
          startedAt,
        }, {
          row,
          slotInMs,
          rate,
          app: row.fly_app_name ?? "",
          body,
          loggableBody: loggableBody(body, config),
          identity: config.identity,
          regions: regionsToTry(row.region, settings),
        }),
    );

  const working = work();
  if (!prefersAsync(context.request.headers)) {
    // A caller who hangs up must not end the work: its row would be left to reconcile.
    services.runtime.waitUntil(working.catch(() => {/* told below */}));
    return machineResponse(200, await working, requestId);
  }
  const accepted: Accepted = {
    response: machineResponse(202, row, requestId, { "preference-applied": "respond-async" }),
    background: working.then(({ status }) => status),
  };
  return accepted;
}

function regionsToTry(region: string, settings: Settings): string[] {
  if (!settings.FLY_REGION_FALLBACK) return [region];
  return [region, ...settings.FLY_REGIONS.filter((other) => other !== region)];
}
