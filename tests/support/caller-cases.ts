/** Requests that are the caller's mistake, by the code that they are answered with. */
import assert from "node:assert/strict";
import type { LocalUser } from "../../dev/stack/supabase/mod.ts";
import type { CallerErrorCode } from "../../supabase/functions/provision-machine/errors.ts";
import type { Answer, Stack } from "./stack.ts";

/** An invalid or refused request. It leaves no row. */
export interface CallerCase {
  code: CallerErrorCode;
  call(stack: Stack, user: LocalUser): Promise<Answer>;
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
];
