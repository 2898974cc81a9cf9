/**
 * The log of one request: the contract's lines, in the contract's words, within its budget of
 * events. The hosted platform drops lines beyond 100 in 10 s, so that a chatty function goes
 * silent exactly when it is busy.
 */
import type { Logger } from "@logtape/logtape";
import { AppError, UpstreamError } from "../errors.ts";
import type { Clock } from "../runtime.ts";

/** At most 10 events per request; one is kept for the summary. */
const MAX_EVENTS = 10;
/**
 * Events that may still follow: the error, the row and the machine that could not be put in order,
 * the summary.
 */
const RESERVED_AFTER_WARNINGS = 4;
const RESERVED_AFTER_INFO = 4;
const RESERVED_AFTER_ERRORS = 2;

/** `text`, if there is one, makes the lines of `LOG_FORMAT=text`. */
type Fields = Record<string, unknown>;

export interface Summary {
  outcome: string;
  status: number;
  code?: string | undefined;
  fields?: Fields;
}

export class RequestLog {
  private events = 0;
  private suppressed = 0;
  /** The first lines of a request that may still be refused; null once they are written. */
  private held: { message: string; fields: Fields }[] | null = null;
  private stopTimer = () => {};
  private readonly warnings: { message: string; fields: Fields }[] = [];
  private readonly context: Fields;

  constructor(
    private readonly logger: Logger,
    private readonly clock: Clock,
    requestId: string,
    traceId?: string,
  ) {
    this.context = { requestId, machineId: undefined, userId: undefined, traceId };
  }

  /** Keeps back what is only information, until {@link release} or the first other event. */
  hold(): void {
    this.held = [];
  }

  /** Releases what is kept back in `ms` milliseconds at the latest. */
  releaseWithin(ms: number): void {
    if (this.held !== null) this.stopTimer = this.clock.after(ms, () => this.release());
  }

  release(): void {
    const held = this.held ?? [];
    this.discard();
    for (const { message, fields } of held) this.logger.info(message, fields);
  }

  /** Forgets what is kept back. */
  discard(): void {
    this.stopTimer();
    this.held = null;
  }

  /** How many events are kept back, or undefined when they have been written. */
  get heldEvents(): number | undefined {
    return this.held?.length;
  }

  /** Adds to every event from now on. */
  identify(ids: { machineId?: string; userId?: string }): void {
    Object.assign(this.context, ids);
  }

  invoked(method: string, path: string): void {
    this.info("provision-machine invoked", {
      method,
      path,
      text: () => [
        "========================================",
        "provision-machine invoked",
        `Method: ${method}`,
      ],
    });
  }

  /** A value that is not valid is not shown: it may be a secret in the wrong variable. */
  environmentCheck(
    texts: Record<string, string | undefined>,
    problems: readonly { variable: string }[],
    request: Fields,
  ): void {
    const value = (name: string) => texts[name]?.trim() || undefined;
    const shown = (name: string) =>
      value(name) && problems.some(({ variable }) => variable === name)
        ? "INVALID ❌"
        : value(name) ?? "MISSING ❌";
    const token = value("FLY_API_TOKEN");
    const checks = [
      `FLY_API_TOKEN: ${token ? `EXISTS (length: ${token.length})` : "MISSING ❌"}`,
      `FLY_APP_NAME: ${shown("FLY_APP_NAME")}`,
      `DOCKER_IMAGE: ${shown("DOCKER_IMAGE")}`,
    ];
    this.info(`Environment check: ${checks.join(", ")}`, {
      ...request,
      text: () => [
        `Request: userId=${this.context["userId"]}, region=${request["region"]}, cpuPriority=${
          request["cpuPriority"]
        }`,
        "Environment check:",
        ...checks.map((check) => `  - ${check}`),
      ],
    });
  }

  callingFly({ region, app, machineName, image, body }: {
    region: string;
    app: string;
    machineName: string;
    image: string;
    /** The request's body as it may be logged. */
    body: unknown;
  }): void {
    this.info(`Calling Fly.io API to create machine in ${region}...`, {
      app,
      machineName,
      image,
      requestBody: body,
      text: () => [
        `Calling Fly.io API to create machine in ${region}...`,
        `  App: ${app}`,
        `  Machine name: ${machineName}`,
        `  Image: ${image}`,
        `Fly.io API request body: ${JSON.stringify(body)}`,
      ],
    });
  }

  flyResponse(status: number, statusText: string, fields: Fields): void {
    this.info(`Fly.io API response status: ${status} ${statusText}`.trimEnd(), fields);
  }

  flyMachineCreated(flyMachineId: string, region: string): void {
    this.info(`✅ Fly machine created successfully: ${flyMachineId}`, { region });
  }

  /** Nothing was created: the machine stood by. */
  machineOfPool(flyMachineId: string, region: string): void {
    this.info(`✅ Machine taken from the warm pool: ${flyMachineId}`, { region });
  }

  /** The one error event of a failure: with its stack, and with what Fly.io said, if it did. */
  provisioningFailed(error: AppError, fields: Fields = {}): void {
    this.failed(`❌ Fly.io provisioning failed: ${error.message}`, error, fields);
  }

  /** The same for a failure outside provisioning. */
  requestFailed(error: AppError, fields: Fields = {}): void {
    this.failed(`❌ Request failed: ${error.message}`, error, fields);
  }

  critical(error: AppError, fields: Fields = {}): void {
    this.failed(`CRITICAL ERROR: ${error.message}`, error, fields);
  }

  /**
   * Something went wrong that does not decide the answer, or not yet. It is logged together with the
   * failure, if there is one: a success has no event to spare, and the summary of either has the
   * reasons of all retries.
   */
  deferWarning(message: string, fields: Fields = {}): void {
    const happenedAt = new Date(this.clock.now()).toISOString();
    this.warnings.push({ message, fields: { happenedAt, ...fields } });
  }

  /** A second failure, such as the error state that could not be written. */
  errorEvent(message: string, cause: unknown, fields: Fields = {}): void {
    this.release();
    this.flushWarnings();
    if (!this.takeFromBudget(RESERVED_AFTER_ERRORS)) return;
    const known = cause instanceof AppError || cause instanceof UpstreamError;
    this.logger.error(message, {
      ...this.context,
      code: known ? cause.code : undefined,
      ...describe(cause),
      ...fields,
    });
  }

  info(message: string, fields: Fields = {}): void {
    if (!this.takeFromBudget(RESERVED_AFTER_INFO)) return;
    const all = { ...this.context, ...fields };
    if (this.held === null) this.logger.info(message, all);
    else this.held.push({ message, fields: all });
  }

  /** Something that failed beside the request, when its summary has been written already. */
  afterSummary(message: string, cause: unknown, fields: Fields = {}): void {
    const afterRequestId = this.context["requestId"];
    this.logger.error(message, { afterRequestId, ...describe(cause), ...fields });
  }

  /** The last event of every request, enough to debug from alone. */
  summary({ outcome, status, code, fields }: Summary): void {
    this.release();
    this.logger.info(`provision-machine finished: ${code ?? outcome} (HTTP ${status})`, {
      ...this.context,
      outcome,
      code,
      status,
      ...fields,
      suppressedEvents: this.suppressed || undefined,
    });
  }

  private failed(message: string, error: AppError, fields: Fields): void {
    this.release();
    this.flushWarnings();
    this.events++;
    const described = describe(error);
    const details = {
      code: error.code,
      ...fields,
      ...described,
      // A call that was not answered has none; then the newest one.
      flyRequestId: described["flyRequestId"] ?? fields["flyRequestId"],
    };
    this.logger.error(message, {
      ...this.context,
      ...details,
      text: () => [message, `Error details: ${JSON.stringify(details)}`],
    });
  }

  private flushWarnings(): void {
    for (const { message, fields } of this.warnings.splice(0)) {
      if (!this.takeFromBudget(RESERVED_AFTER_WARNINGS)) continue;
      this.logger.warn(message, { ...this.context, ...fields });
    }
  }

  /** Whether an event fits into the budget with `reserved` events still to come. */
  private takeFromBudget(reserved: number): boolean {
    if (this.events > MAX_EVENTS - 1 - reserved) {
      this.suppressed++;
      return false;
    }
    this.events++;
    return true;
  }
}

/** Name, message and stack of whatever was thrown, and what an upstream's error adds. */
function describe(thrown: unknown): Fields {
  const cause = thrown instanceof AppError && thrown.cause !== undefined ? thrown.cause : thrown;
  const error = cause instanceof Error ? cause : undefined;
  return {
    error: {
      name: error?.name ?? "Unknown",
      message: error?.message ?? String(cause),
      stack: error?.stack ?? (thrown instanceof Error ? thrown.stack : undefined) ?? "N/A",
    },
    ...(cause instanceof UpstreamError ? cause.logFields() : {}),
  };
}
