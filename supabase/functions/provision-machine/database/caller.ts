/**
 * How the database is called: with a time limit, a schema for the result, and another attempt after
 * a lost answer. Nearly every function called may be repeated; one lost packet must not fail a
 * provisioning.
 */
import { createClient, type SupabaseClient } from "@supabase/supabase-js";
import type { z } from "zod/v3";
import type { Platform } from "../config/environment.ts";
import { AppError, UpstreamError } from "../errors.ts";
import type { Runtime } from "../runtime.ts";
import { type Deadline, sleep, TimeoutError, withTimeout } from "../time.ts";
import type { Database } from "./types.ts";

type DatabaseClient = SupabaseClient<Database>;

const MAX_ATTEMPTS = 3;
const RETRY_AFTER_MS = 200;
/** Supabase answers in milliseconds; an answer that takes this long will not come. */
const CALL_TIMEOUT_MS = 10_000;

type Functions = Database["public"]["Functions"];

export class DatabaseCaller {
  private readonly client: DatabaseClient;

  constructor(
    { url, serviceKeys: [serviceKey] }: Platform,
    private readonly runtime: Pick<Runtime, "clock" | "fetch" | "random">,
  ) {
    this.client = createClient<Database>(url, serviceKey, {
      // No user signs in here. Without this each call would first look for a session.
      accessToken: () => Promise.resolve(null),
      global: { fetch: (input, init) => runtime.fetch(input, init) },
    });
  }

  /**
   * Calls a Postgres function, at most `attempts` times. Throws {@link AppError} `database_error`.
   */
  rpc<Name extends keyof Functions & string, T>(
    name: Name,
    args: Functions[Name]["Args"],
    schema: z.ZodType<T, z.ZodTypeDef, unknown>,
    deadline: Deadline,
    { attempts = MAX_ATTEMPTS } = {},
  ): Promise<T> {
    const call = async (signal: AbortSignal) => {
      const { data, error, status } = await this.client.rpc(name, args)
        .abortSignal(signal).retry(false);
      if (error) throw new DatabaseCallError(name, status, error);
      const parsed = schema.safeParse(data);
      if (parsed.success) return parsed.data;
      throw new AppError("database_error", `${name} returned something unexpected`, {
        hint: "The database schema does not fit this version of the function",
        cause: parsed.error,
      });
    };
    return this.attempt(name, call, deadline, attempts);
  }

  /**
   * The rows of `cloud_machines` that have one of the given ids. Throws
   * {@link AppError} `database_error`.
   */
  select<T>(
    where: { id: string[] },
    schema: z.ZodType<T, z.ZodTypeDef, unknown>,
    deadline: Deadline,
  ): Promise<T[]> {
    const name = "select cloud_machines";
    return this.attempt(name, async (signal) => {
      let query = this.client.from("cloud_machines").select("*");
      for (const [column, values] of Object.entries(where)) query = query.in(column, values);
      const { data, error, status } = await query.abortSignal(signal).retry(false);
      if (error) throw new DatabaseCallError(name, status, error);
      return data.map((row) => schema.parse(row));
    }, deadline);
  }

  private async attempt<T>(
    name: string,
    call: (signal: AbortSignal) => Promise<T>,
    deadline: Deadline,
    attempts = MAX_ATTEMPTS,
  ): Promise<T> {
    for (let attempt = 1;; attempt++) {
      try {
        const timeoutMs = Math.min(CALL_TIMEOUT_MS, deadline.remainingMs());
        return await withTimeout(this.runtime.clock, timeoutMs, call);
      } catch (thrown) {
        if (thrown instanceof AppError) throw thrown;
        const error = thrown instanceof TimeoutError
          ? new DatabaseCallError(name, 0, thrown)
          : thrown;
        const waitMs = RETRY_AFTER_MS * attempt * (0.5 + this.runtime.random());
        const retry = attempt < attempts && waitMs < deadline.remainingMs() &&
          error instanceof DatabaseCallError && error.transient;
        if (!retry) throw unreachable(error);
        await sleep(this.runtime.clock, waitMs);
      }
    }
  }
}

/** A call that PostgREST or the network refused. */
export class DatabaseCallError extends UpstreamError {
  override name = "DatabaseCallError";
  override readonly code = "database_error";
  /** Not the call's own fault: no answer, an unreadable one, or the gateway or server failed. */
  readonly transient: boolean;

  constructor(call: string, status: number, error: { message: string; code?: string }) {
    super(`${call}: ${error.message}${error.code ? ` (${error.code})` : ""}, HTTP ${status}`);
    const unreadable = status >= 200 && status < 300;
    this.transient = status === 0 || unreadable || status === 408 || status === 429 ||
      status >= 500;
  }
}

function unreachable(cause: unknown): AppError {
  return new AppError("database_error", "The database could not be used", { cause });
}
