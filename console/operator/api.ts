/** What the operator's page reads and does, with the service key that was entered. */
import * as z from "zod/mini";
import type { ConsoleConfig } from "../page/config.ts";
import { parsePrometheus, type Sample } from "./prometheus.ts";

const Check = z.object({
  status: z.enum(["pass", "warn", "fail"]),
  observedValue: z.optional(z.union([z.string(), z.number()])),
  observedUnit: z.optional(z.string()),
  output: z.optional(z.string()),
});
const Health = z.object({
  status: z.enum(["pass", "warn", "fail"]),
  checks: z._default(z.record(z.string(), z.array(Check)), {}),
});
const MachineEvent = z.object({
  id: z.number(),
  kind: z.string(),
  error_code: z.nullable(z.string()),
  duration_ms: z.nullable(z.number()),
  request_id: z.string(),
  created_at: z.string(),
  cloud_machines: z.nullable(z.object({ machine_id: z.string(), region: z.string() })),
});
const Reconciled = z.object({
  actions: z._default(z.array(z.record(z.string(), z.unknown())), []),
  requestId: z.string(),
});

export type Health = z.output<typeof Health>;
export type MachineEvent = z.output<typeof MachineEvent>;
export interface Reconciled {
  /** Number of repairs per kind. */
  counts: Record<string, number>;
  requestId: string;
}

/** Number of newest events: PostgREST's default `max_rows`, beyond which it cuts off. */
export const MAX_EVENTS = 1_000;
const COLUMNS = "id,kind,error_code,duration_ms,request_id,created_at," +
  "cloud_machines(machine_id,region)";

/** A request that failed. */
export class OperatorError extends Error {
  override name = "OperatorError";
  constructor(
    message: string,
    /** The key is wrong, or the gateway refuses it: repeating the request cannot help. */
    readonly refused: boolean,
    readonly requestId: string | null = null,
  ) {
    super(message);
  }
}

export class OperatorApi {
  readonly #config: ConsoleConfig;
  readonly #key: string;

  constructor(config: ConsoleConfig, key: string) {
    this.#config = config;
    this.#key = key;
  }

  /** Every check, or only the overall status if the key is not a service's. */
  async health(signal: AbortSignal): Promise<Health> {
    // 503 is the function's response when a check fails, not a failed call.
    const response = await this.#send("GET", this.#functionPath("/health"), signal, [503]);
    return Health.parse(await response.json());
  }

  async metrics(signal: AbortSignal): Promise<Sample[]> {
    const response = await this.#send("GET", this.#functionPath("/metrics"), signal);
    return parsePrometheus(await response.text());
  }

  /** Newest first. */
  async events(signal: AbortSignal): Promise<MachineEvent[]> {
    const query = new URLSearchParams({
      select: COLUMNS,
      order: "id.desc",
      limit: String(MAX_EVENTS),
    });
    const response = await this.#send("GET", `/rest/v1/machine_events?${query}`, signal);
    return z.array(MachineEvent).parse(await response.json());
  }

  async reconcile(signal: AbortSignal): Promise<Reconciled> {
    const response = await this.#send("POST", this.#functionPath("/reconcile"), signal);
    const body: unknown = await response.json();
    const counts = Object.entries(z.record(z.string(), z.unknown()).parse(body))
      .filter((entry): entry is [string, number] => typeof entry[1] === "number");
    return { counts: Object.fromEntries(counts), requestId: Reconciled.parse(body).requestId };
  }

  #functionPath(path: string): string {
    return `/functions/v1/${this.#config.functionName}${path}`;
  }

  async #send(
    method: string,
    path: string,
    signal: AbortSignal,
    alsoFine: number[] = [],
  ): Promise<Response> {
    const { operatorUrl, supabaseUrl } = this.#config;
    let response: Response;
    try {
      response = await fetch((operatorUrl || supabaseUrl) + path, {
        method,
        // Legacy keys are JWTs and are sent as Bearer too; the new ones only as apikey.
        headers: {
          apikey: this.#key,
          ...(this.#key.startsWith("sb_") ? {} : { authorization: `Bearer ${this.#key}` }),
        },
        signal,
      });
    } catch (cause) {
      signal.throwIfAborted();
      throw new OperatorError(`The project could not be reached (${String(cause)})`, false);
    }
    if (response.ok || alsoFine.includes(response.status)) return response;
    throw await refusal(response, !operatorUrl);
  }
}

async function refusal(response: Response, fromBrowser: boolean): Promise<OperatorError> {
  const { status } = response;
  const body: unknown = await response.json().catch(() => null);
  const parsed = z.object({
    error: z.optional(z.string()),
    message: z.optional(z.string()),
    code: z.optional(z.string()),
  }).safeParse(body);
  const { error, message, code } = parsed.data ?? {};
  const requestId = response.headers.get("x-request-id");
  const refused = status === 401 || status === 403;
  // The function's own refusal has a request id; one without comes from the gateway.
  if (refused && requestId === null && fromBrowser) {
    return new OperatorError(
      `Supabase's gateway refused the key (${
        message ?? `HTTP ${status}`
      }). It refuses secret keys ` +
        "that come from a browser: run the console on your own machine (deno task console), where a " +
        "small server passes the key on, or use the legacy service_role key.",
      true,
    );
  }
  const what = error ?? message ?? "no details";
  return new OperatorError(`HTTP ${status}${code ? ` ${code}` : ""}: ${what}`, refused, requestId);
}
