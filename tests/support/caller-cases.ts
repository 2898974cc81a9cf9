/** Requests that are the caller's mistake, by the code that they are answered with. */
import assert from "node:assert/strict";
import type { LocalUser } from "../../dev/stack/supabase/mod.ts";
import type { CallerErrorCode } from "../../supabase/functions/provision-machine/errors.ts";
import type { RunningFunction } from "./running-function.ts";
import type { Answer, Stack } from "./stack.ts";

/** An invalid or refused request. It leaves no row. */
export interface CallerCase {
  code: CallerErrorCode;
  /** `fn` has the settings of `env`. */
  call(stack: Stack, user: LocalUser, fn: RunningFunction): Promise<Answer>;
  env?: Record<string, string>;
  extra?: string[];
  /** A row that was there before. */
  rows?: number;
  check?(answer: Answer): void;
}

/** At least one for each code. */
export const CALLER_CASES: CallerCase[] = [
  {
    code: "invalid_request",
    call: (stack, user) => stack.call(user, { body: { region: "xyz", cpuPriority: "huge" } }),
    extra: ["issues"],
    check: ({ body }) => {
      assert.deepEqual(body.issues.map(({ path }: { path: string }) => path), ["cpuPriority"]);
    },
  },
  {
    code: "unauthorized",
    call: (stack) => stack.call(null, { body: {} }),
    check: ({ headers }) => assert.equal(headers.get("www-authenticate"), "Bearer"),
  },
  {
    code: "forbidden",
    call: (stack, user) => stack.call(user, { body: { userId: crypto.randomUUID() } }),
  },
  { code: "not_found", call: (stack, user) => stack.call(user, { path: "/no/such/path" }) },
  {
    code: "method_not_allowed",
    call: (stack, user) => stack.call(user, { method: "PUT", body: {} }),
    check: ({ headers }) => assert.equal(headers.get("allow"), "POST, OPTIONS"),
  },
  {
    code: "machine_limit_reached",
    async call(stack, user) {
      const first = await stack.call(user, { body: {} });
      const second = await stack.call(user, { body: {} });
      const { machineId, websocketUrl, status } = first.body;
      const named = second.body;
      assert.deepEqual(
        [named.machineId, named.websocketUrl, named.status],
        [machineId, websocketUrl, status],
      );
      return second;
    },
    extra: ["websocketUrl", "status"],
    rows: 1,
  },
  {
    code: "machine_state_conflict",
    async call(stack, user) {
      const { body: { machineId } } = await stack.call(user, { body: {} });
      await stack.call(user, { method: "DELETE", path: `/${machineId}` });
      return await stack.call(user, { path: `/${machineId}/connect` });
    },
    rows: 1,
  },
  {
    code: "payload_too_large",
    call: (stack, user) => stack.call(user, { body: " ".repeat(16 * 1024 + 1) }),
  },
  {
    code: "unsupported_media_type",
    call: (stack, user) =>
      stack.call(user, { body: "region=iad", headers: { "content-type": "text/plain" } }),
  },
  {
    code: "idempotency_key_reused",
    async call(stack, user) {
      const headers = { "idempotency-key": "used-twice" };
      await stack.call(user, { headers, body: {} });
      return await stack.call(user, { headers, body: { cpuPriority: "low" } });
    },
    rows: 1,
  },
  {
    code: "too_many_requests",
    env: { MAX_PROVISIONS_PER_USER_PER_HOUR: "1" },
    async call(_stack, user, fn) {
      await fn.call(user, { body: {} });
      return await fn.call(user, { body: {} });
    },
    rows: 1,
    check: ({ headers }) => {
      const seconds = Number(headers.get("retry-after"));
      assert.ok(seconds > 3_500 && seconds <= 3_600, `${seconds}`);
    },
  },
  {
    code: "fleet_full",
    env: { MAX_MACHINES: "1" },
    async call(stack, user, fn) {
      await fn.call(await stack.supabase.createUser(), { body: {} });
      return await fn.call(user, { body: {} });
    },
    check: ({ headers }) => assert.equal(headers.get("retry-after"), "60"),
  },
  {
    code: "provisioning_paused",
    env: { PROVISIONING_PAUSED: "Back at noon." },
    call: (_stack, user, fn) => fn.call(user, { body: {} }),
    check: ({ body }) => assert.equal(body.message, "Back at noon."),
  },
];
