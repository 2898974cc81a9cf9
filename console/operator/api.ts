/** What the operator's page reads and does, with the service key that was entered. */
import * as z from "zod/mini";
import type { ConsoleConfig } from "../page/config.ts";
import { foreignResponse, isOfFunction, OperatorError, refusal } from "./operator-error.ts";
import { parsePrometheus, type Sample } from "./prometheus.ts";
import { EVENTS, type MachineEvent, MACHINES, type OperatorMachine, type Rows } from "./rows.ts";

const TIMEOUT_MS = 10_000;
/** Reconcile and DELETE may use a whole request's time: the platform ends it after 150 s. */
const LONG_TIMEOUT_MS = 160_000;
/** PostgREST's default `max_rows` on Supabase, beyond which it cuts off. */
export const EVENTS_PER_PAGE = 1_000;

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
const Reconciled = z.object({ requestId: z.string() });

/** Of a search. */
const MOST_FOUND = 50;
const PLAIN = /^[\w.-]{1,128}$/;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

export type Check = z.output<typeof Check>;
export type Health = z.output<typeof Health>;
export interface Reconciled {
  /** Number of repairs per kind. */
  counts: Record<string, number>;
  requestId: string;
}

/** What a search found. */
export interface Found {
  machines: OperatorMachine[];
  events: MachineEvent[];
}

export interface EventsQuery {
  /** Only events with a smaller id. */
  beforeId?: number | undefined;
  /** Only events from this time on (ISO 8601). */
  from?: string;
}

interface Call {
  method: "GET" | "POST" | "DELETE";
  path: string;
  signal: AbortSignal;
  timeoutMs?: number;
  /** Statuses that are no failure, beside 2xx. */
  alsoFine?: number[];
}

/** Every method throws {@link OperatorError}, or the signal's reason when that aborts. */
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
    const response = await this.#callFunction({
      method: "GET",
      path: "/health",
      signal,
      alsoFine: [503],
    });
    return await parsed(response, (body) => Health.parse(JSON.parse(body)));
  }

  async metrics(signal: AbortSignal): Promise<Sample[]> {
    const response = await this.#callFunction({ method: "GET", path: "/metrics", signal });
    return await parsed(response, parsePrometheus);
  }

  /** At most {@link EVENTS_PER_PAGE} events, newest first. */
  async events({ beforeId, from }: EventsQuery, signal: AbortSignal): Promise<MachineEvent[]> {
    return await this.#read(EVENTS, {
      order: "id.desc",
      limit: String(EVENTS_PER_PAGE),
      ...(beforeId === undefined ? {} : { id: `lt.${beforeId}` }),
      ...(from === undefined ? {} : { created_at: `gte.${from}` }),
    }, signal);
  }

  /** The newest live machines. */
  async liveMachines(limit: number, signal: AbortSignal): Promise<OperatorMachine[]> {
    return await this.#read(MACHINES, {
      status: "in.(provisioning,running,stopped)",
      order: "created_at.desc,id.desc",
      limit: String(limit),
    }, signal);
  }

  /**
   * The newest machines that have this id, owner, request or error code, or had this name, and the
   * newest events of these machines and of this request. Ids may be cut off at their end.
   */
  async find(text: string, signal: AbortSignal): Promise<Found> {
    // Anything else would be part of the query's own language, and no id or code has it.
    if (!PLAIN.test(text)) return { machines: [], events: [] };
    const machines = await this.#read(MACHINES, {
      or: `(machine_id.like.${text}*,former_machine_ids.cs.{${text}},fly_machine_id.eq.${text},` +
        `request_id.like.${text}*,error_code.eq.${text}` +
        `${UUID.test(text) ? `,user_id.eq.${text}` : ""})`,
      order: "created_at.desc,id.desc",
      limit: String(MOST_FOUND),
    }, signal);
    const events = await this.#read(EVENTS, {
      or: `(request_id.like.${text}*,error_code.eq.${text},` +
        `cloud_machine_id.in.(${machines.map(({ id }) => id).join(",")}))`,
      order: "id.desc",
      limit: String(MOST_FOUND),
    }, signal);
    return { machines, events };
  }

  /** Resolves once the machine is gone. */
  async destroy(machineId: string, signal: AbortSignal): Promise<void> {
    const response = await this.#callFunction({
      method: "DELETE",
      path: `/${encodeURIComponent(machineId)}`,
      signal,
      timeoutMs: LONG_TIMEOUT_MS,
    });
    await response.body?.cancel();
  }

  async reconcile(signal: AbortSignal): Promise<Reconciled> {
    const response = await this.#callFunction({
      method: "POST",
      path: "/reconcile",
      signal,
      timeoutMs: LONG_TIMEOUT_MS,
    });
    return await parsed(response, (text) => {
      const body: unknown = JSON.parse(text);
      const counts = Object.entries(z.record(z.string(), z.unknown()).parse(body))
        .filter((entry): entry is [string, number] => typeof entry[1] === "number");
      return { counts: Object.fromEntries(counts), requestId: Reconciled.parse(body).requestId };
    });
  }

  async #read<T>(
    { table, columns, row }: Rows<T>,
    query: Record<string, string>,
    signal: AbortSignal,
  ): Promise<T[]> {
    const path = `/rest/v1/${table}?${new URLSearchParams({ select: columns, ...query })}`;
    const response = await this.#send({ method: "GET", path, signal });
    if (!response.ok) throw await refusal(response);
    return await parsed(response, (body) => z.array(row).parse(JSON.parse(body)));
  }

  async #callFunction({ path, alsoFine = [], ...call }: Call): Promise<Response> {
    const { functionName, operatorUrl } = this.#config;
    const response = await this.#send({ ...call, path: `/functions/v1/${functionName}${path}` });
    if (!isOfFunction(response)) throw await foreignResponse(response, !operatorUrl);
    if (response.ok || alsoFine.includes(response.status)) return response;
    throw await refusal(response);
  }

  async #send({ method, path, signal, timeoutMs = TIMEOUT_MS }: Call): Promise<Response> {
    const { operatorUrl, supabaseUrl } = this.#config;
    const timeout = AbortSignal.timeout(timeoutMs);
    try {
      return await fetch((operatorUrl || supabaseUrl) + path, {
        method,
        // Legacy keys are JWTs and are sent as Bearer too; the new ones only as apikey.
        headers: {
          apikey: this.#key,
          ...(this.#key.startsWith("sb_") ? {} : { authorization: `Bearer ${this.#key}` }),
        },
        signal: AbortSignal.any([signal, timeout]),
      });
    } catch (cause) {
      signal.throwIfAborted();
      throw new OperatorError(
        timeout.aborted
          ? `No response within ${timeoutMs / 1_000} s`
          : `The project could not be reached (${String(cause)})`,
      );
    }
  }
}

async function parsed<T>(response: Response, parse: (body: string) => T): Promise<T> {
  const requestId = response.headers.get("x-request-id");
  try {
    return parse(await response.text());
  } catch {
    // The details are those of the parser and mean nothing to an operator.
    throw new OperatorError(
      `HTTP ${response.status}: the response is not in the expected form. Are the page and the ` +
        "function of the same version?",
      false,
      requestId,
    );
  }
}
