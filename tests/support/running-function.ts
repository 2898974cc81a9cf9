/** A running function: how a test calls it and reads its log. */
import assert from "node:assert/strict";
import {
  type FunctionProcess,
  type OutputLine,
  startFunction,
} from "../../dev/stack/function/mod.ts";
import type { LocalUser } from "../../dev/stack/supabase/mod.ts";
import { logViolations } from "../invariants/log.ts";
import type { SecretFinder } from "../invariants/secrets.ts";
import { isSummary, type LogEvent, parseLog } from "../invariants/log-events.ts";
import { undeclared } from "./openapi.ts";
import { until } from "./until.ts";

export type { LogEvent } from "../invariants/log-events.ts";

export interface CallOptions {
  method?: string;
  /** Below the function's own path. */
  path?: string;
  /** The path in front of `path`. Default `/provision-machine`, as the gateway passes it. */
  prefix?: string;
  /** Sent as JSON unless it is a string, bytes or a stream. */
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

// deno-lint-ignore no-explicit-any -- a test may read any field
export type AnswerBody = any;

export interface Answer {
  status: number;
  headers: Headers;
  body: AnswerBody;
  requestId: string;
}

export class RunningFunction implements AsyncDisposable {
  /** Requests that were cut off and therefore have no summary. */
  private readonly cutOff = new Set<string>();
  private killed = false;
  private stopped = false;

  private constructor(
    private readonly process: FunctionProcess,
    private readonly env: Record<string, string>,
    private readonly secrets: SecretFinder,
  ) {}

  static async start(
    env: Record<string, string>,
    secrets: SecretFinder,
    options: { entry?: URL } = {},
  ): Promise<RunningFunction> {
    secrets.addEnvironment(env);
    return new RunningFunction(await startFunction({ env, ...options }), env, secrets);
  }

  get url(): string {
    return this.process.url;
  }

  get pid(): number {
    return this.process.pid;
  }

  get lines(): OutputLine[] {
    return this.process.lines;
  }

  /** Calls the function as `user`. Checks the answer against the description of the API. */
  async call(
    user: LocalUser | null,
    { method = "POST", path = "", prefix = "/provision-machine", body, headers = {}, signal }:
      CallOptions = {},
  ): Promise<Answer> {
    const sent = new Headers(headers);
    if (user && !sent.has("authorization")) {
      sent.set("authorization", `Bearer ${user.accessToken}`);
    }
    const isRaw = typeof body === "string" || body instanceof Uint8Array ||
      body instanceof ReadableStream;
    if (body !== undefined && !sent.has("content-type")) {
      sent.set("content-type", "application/json");
    }
    this.secrets.add("a caller's token", sent.get("authorization")?.replace(/^\S+ /, "") ?? "");
    const response = await fetch(`${this.url}${prefix}${path}`, {
      method,
      headers: sent,
      ...(body === undefined ? {} : { body: isRaw ? body as BodyInit : JSON.stringify(body) }),
      ...(signal ? { signal } : {}),
    });
    const text = await response.text();
    const requestId = response.headers.get("x-request-id") ?? "";
    assert.match(requestId, /^[A-Za-z0-9_.-]{1,128}$/, `${method} ${path}: x-request-id`);
    assert.ok(response.headers.get("access-control-allow-origin"), `${method} ${path}: CORS`);
    this.secrets.assertAbsent(text, `the answer to ${method} ${path}`);
    const { status, headers: received } = response;
    const parsed = text === "" ? null : JSON.parse(text);
    const asked = { method, path: new URL(response.url).pathname };
    assert.deepEqual(
      undeclared({ ...asked, status, headers: received, body: parsed }),
      [],
      `${method} ${asked.path} is not answered as openapi.json says`,
    );
    return { status, headers: received, body: parsed, requestId };
  }

  /** Every log event so far, in the order of each stream. */
  events(requestId?: string): LogEvent[] {
    const events = parseLog(this.lines);
    return requestId === undefined
      ? events
      : events.filter((event) => event.requestId === requestId);
  }

  /** Every log event of a request that has finished, by time; the summary is the last one. */
  async log(requestId: string): Promise<LogEvent[]> {
    await until(`the summary of ${requestId} is logged`, () => {
      const events = this.events(requestId);
      const summary = events.find(isSummary);
      // The two streams are read concurrently, so an error may arrive after the summary.
      return summary !== undefined &&
        (Number(summary.status) !== 500 || events.some(({ level }) => level === "error"));
    });
    return this.events(requestId).sort((a, b) =>
      a.timestamp.localeCompare(b.timestamp) || Number(isSummary(a)) - Number(isSummary(b))
    );
  }

  /**
   * The one event that reports a request's failure.
   *
   * @param others how many more errors there are, such as that of a failed clean-up
   */
  async failure(requestId: string, others = 0): Promise<LogEvent> {
    const errors = (await this.log(requestId)).filter(({ level }) => level === "error");
    const shown = JSON.stringify(errors, null, 2);
    assert.equal(errors.length, 1 + others, `error events: ${shown}`);
    const failures = errors.filter(({ message }) => /^(❌|CRITICAL ERROR)/.test(message));
    const [failure] = failures;
    assert.ok(failure && failures.length === 1, shown);
    return failure;
  }

  /** Registers a request that will not finish, because the test ends the function before. */
  expectCutOff(requestId: string): void {
    this.cutOff.add(requestId);
  }

  /** Ends it at once, as a crash would. */
  async kill(): Promise<void> {
    this.killed = true;
    await this.process.kill();
    this.checkOutput();
  }

  /** Ends it and checks everything that it logged. */
  async stop(): Promise<void> {
    if (this.stopped || this.killed) return;
    this.stopped = true;
    await this.process.stop();
    this.checkOutput();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  private checkOutput(): void {
    const violations = logViolations(parseLog(this.lines), {
      level: this.env["LOG_LEVEL"] ?? "info",
      mayLackSummary: (requestId) => this.killed || this.cutOff.has(requestId),
      inOrder: false,
    });
    assert.deepEqual(violations, [], "the function's log breaks the contract");
    this.secrets.assertAbsent(
      this.lines.map(({ line }) => line).join("\n"),
      "the function's output",
    );
  }
}
