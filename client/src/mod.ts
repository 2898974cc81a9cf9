/**
 * A typed client of the Edge Function `provision-machine`, for browsers, servers and React Native. It
 * needs nothing but `fetch`, and `WebSocket` to connect.
 *
 * A call whose answer got lost is sent again with the same `Idempotency-Key`, so that it never creates
 * a second machine. An answer that reports an error is not retried: `retry` says whether to call
 * `provision` a second time, and `same_key` to pass it the error's `idempotencyKey`.
 */

import { type Answer, asObject, toConnection, toMachine } from "./answers.ts";
import { createCall, type Limits } from "./call.ts";
import { connect } from "./connection.ts";
import { text } from "./errors.ts";
import { randomId } from "./host.ts";
import { list } from "./list.ts";
import type { CallOptions, ClientOptions, Machine, ProvisionMachineClient } from "./types.ts";
import { waitUntilWorthTrying } from "./wait.ts";
import { watch } from "./watch.ts";

export type { ErrorCode, KnownErrorCode } from "./codes.ts";
export { type ErrorDetails, ProvisionMachineError, type Retry } from "./errors.ts";
export type {
  Database,
  ListedMachine,
  MachineEventRow,
  MachineRow,
  MachineStatus,
  MachineUsageRow,
} from "./rows.ts";
export type {
  CallOptions,
  ClientOptions,
  Connection,
  ConnectionState,
  ConnectOptions,
  CpuPriority,
  ListOptions,
  Machine,
  MachineConnection,
  ProvisionMachineClient,
  ProvisionOptions,
  ProvisionRequest,
  RealtimeChannelLike,
  RealtimeSource,
  SupabaseSource,
  Watch,
  WatchOptions,
  WatchState,
  WebSocketConstructor,
  WebSocketLike,
} from "./types.ts";
export type { Wait } from "./wait.ts";

/** Creates a client; it keeps no state between calls. */
export function createProvisionMachineClient(options: ClientOptions): ProvisionMachineClient {
  const call = createCall(options);
  const base = `/functions/v1/${options.functionName ?? "provision-machine"}`;
  const pathOf = (machineId: string) => `${base}/${encodeURIComponent(machineId)}`;
  /** A route of one machine, whose answer `read` understands. */
  const post =
    <Result>(what: string, read: (answer: Answer) => Result) =>
    async (machineId: string, callOptions?: CallOptions & Limits) =>
      read(await call(`${pathOf(machineId)}/${what}`, { method: "POST" }, callOptions));
  const requestConnection = post("connect", toConnection);
  return {
    start: post("start", toMachine),
    stop: post("stop", toMachine),
    suspend: post("suspend", toMachine),
    requestConnection,
    async provision(
      request = {},
      { idempotencyKey, respondAsync, ...rest } = {},
    ): Promise<Machine> {
      const answer = await call(base, {
        method: "POST",
        key: idempotencyKey ?? randomId(),
        prefer: respondAsync ? "respond-async" : undefined,
        body: JSON.stringify(request),
      }, rest);
      return toMachine(answer);
    },
    async destroy(machineId, callOptions) {
      const { body } = await call(pathOf(machineId), { method: "DELETE" }, callOptions);
      return { requestId: text(asObject(body)?.["requestId"]) ?? "" };
    },
    // A lost attempt is the connection's own business: it has a longer breath than a call.
    connect: (machineId, connectOptions = {}) =>
      connect({
        request: (signal) =>
          requestConnection(machineId, { signal, maxAttempts: 1, timeoutMs: 20_000 }),
        WebSocket: options.WebSocket,
        wait: options.wait ?? waitUntilWorthTrying,
      }, connectOptions),
    list: (listOptions) => list(call, listOptions),
    watch: (watchOptions) => watch(call, options.supabase, watchOptions),
  };
}
