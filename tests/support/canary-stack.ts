/**
 * A stack with canaries planted everywhere that a secret can come from, which keeps every byte that
 * leaves it: answers, output, webhook messages and rows.
 */
import assert from "node:assert/strict";
import type { LocalUser } from "../../dev/stack/supabase/mod.ts";
import { TEST_REGIONS } from "./failures.ts";
import { dumpOf, Outlet, plant, type Planted } from "./planted-secrets.ts";
import type { CallOptions, RunningFunction } from "./running-function.ts";
import { type Stack, startStack } from "./stack.ts";
import { Webhook } from "./webhook.ts";

/** Starts the stack and its webhook; `await using` stops both. */
export async function startCanaryStack(): Promise<CanaryStack> {
  const webhook = Webhook.start();
  const planted = plant(webhook);
  const stack = await startStack({
    env: { FLY_REGIONS: TEST_REGIONS.join(","), ...planted.env },
    fly: { tokens: [planted.flyToken.replace(/^FlyV1 /, "")], regions: TEST_REGIONS },
  });
  const keys = {
    SUPABASE_SECRET_KEYS: JSON.stringify({
      default: stack.supabase.secretKey,
      other: planted.otherKey,
    }),
  };
  await stack.restart(keys);
  stack.fn.expectCutOff("none");
  return new CanaryStack(stack, webhook, planted, keys, await stack.supabase.createUser());
}

export class CanaryStack implements AsyncDisposable {
  readonly outlet = new Outlet();
  readonly #functions: RunningFunction[];
  readonly #headers: Record<string, string>;

  constructor(
    readonly stack: Stack,
    readonly webhook: Webhook,
    readonly planted: Planted,
    private readonly keys: Record<string, string>,
    readonly user: LocalUser,
  ) {
    const { canaries } = planted;
    canaries.add("the project's secret key", stack.supabase.secretKey);
    canaries.add("the project's service_role key", stack.supabase.serviceRoleKey);
    canaries.add("a user's access token", user.accessToken);
    this.#functions = [stack.fn];
    this.#headers = {
      authorization: `Bearer ${user.accessToken}`,
      "content-type": "application/json",
      cookie: `session=${canaries.plant("a cookie")}`,
      "x-forwarded-authorization": canaries.plant("an unknown header"),
      traceparent: `00-${"ab".repeat(16)}-${"cd".repeat(8)}-01`,
    };
  }

  /** Starts one more function, with `changed` settings; its output is searched at the end. */
  async start(changed: Record<string, string | undefined>): Promise<RunningFunction> {
    const fn = await this.stack.start({ ...this.keys, ...changed });
    fn.expectCutOff("none");
    this.#functions.push(fn);
    return fn;
  }

  /** Calls a function as the user, with secrets in the headers. Resolves with the status. */
  async callAsUser(fn: RunningFunction, where: string, options: CallOptions = {}): Promise<number> {
    const headers = { ...this.#headers, ...options.headers };
    return (await this.outlet.call(fn, where, { body: {}, ...options, headers })).status;
  }

  /** Asserts that no canary left, in at least `minCharacters` of answers and output. */
  async assertNothingLeaked(minCharacters: number): Promise<void> {
    const output: [string, string][] = [];
    const audited: string[] = [];
    for (const fn of this.#functions) {
      if (fn !== this.stack.fn) await fn.stop().catch((error) => audited.push(String(error)));
      output.push(["the output", fn.lines.map(({ line }) => line).join("\n")]);
    }
    const messages = this.webhook.deliveries.map(({ raw }): [string, string] => [
      "the webhook",
      raw,
    ]);
    assert.ok(messages.length > 0);
    const stored = await dumpOf(this.stack);
    const found = [...this.outlet.texts, ...output, ...messages, ...stored].flatMap((
      [where, text],
    ) => this.planted.canaries.findIn(text).map((place) => `${where}: ${place}`));
    assert.deepEqual([...new Set([...found, ...audited])], []);
    const characters = [...this.outlet.texts, ...output]
      .reduce((sum, [, text]) => sum + text.length, 0);
    assert.ok(characters > minCharacters, `only ${characters} characters were searched`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await using _webhook = this.webhook;
    await this.stack[Symbol.asyncDispose]();
  }
}
