/** The first machine: provisioned as an application does it, looked up, and connected to. */
import { z } from "zod";
import { callFunction, type FunctionAnswer, isSuccess } from "./call-function.ts";
import type { DemoUser } from "./demo-users.ts";
import { isOnThisMachine } from "./environment.ts";

const GREETING_TIMEOUT_MS = 5_000;

/** What is used of an answer, whatever else it says. */
const answerSchema = z.object({
  machineId: z.string().nullish(),
  websocketUrl: z.string().nullish(),
});

const connectSchema = z.object({ websocketUrl: z.string(), token: z.string() });

export interface FirstMachine extends FunctionAnswer {
  machineId: string | null;
  /** The row as its owner reads it; `null` when there is none. */
  row: Record<string, unknown> | null;
  connection: Connection;
  /** Whether it was answered 2xx, the row says running, and the machine answered. */
  runs: boolean;
}

/** What came of connecting to the machine. */
export type Connection =
  | { kind: "greeted"; url: string; greeting: string }
  | { kind: "failed"; url: string; reason: string }
  | { kind: "not-tried"; reason: string };

/** Provisions a machine for the user. Every failure is in what it returns. */
export async function provisionFirstMachine(
  user: DemoUser,
  signal: AbortSignal,
): Promise<FirstMachine> {
  const { status, answer } = await callFunction(user.client, { body: {}, signal });
  const { machineId, websocketUrl } = answerSchema.safeParse(answer).data ?? {};
  const row = machineId == null ? null : await readRow(user, machineId);
  const answered = isSuccess(status);
  const connection: Connection = !answered || machineId == null || websocketUrl == null
    ? { kind: "not-tried", reason: "there is no machine to connect to" }
    : await connect(user, { machineId, url: websocketUrl }, signal);
  return {
    status,
    answer,
    machineId: machineId ?? null,
    row,
    connection,
    runs: answered && row?.status === "running" && connection.kind !== "failed",
  };
}

async function readRow(
  { client, email }: DemoUser,
  machineId: string,
): Promise<Record<string, unknown> | null> {
  const { data, error } = await client.from("cloud_machines")
    .select().eq("machine_id", machineId).maybeSingle();
  if (error) {
    throw new Error(`The row of ${machineId} cannot be read as ${email}: ${error.message}`);
  }
  return data;
}

/** With a token, as an application connects. The address in what it returns has none. */
async function connect(
  user: DemoUser,
  { machineId, url }: { machineId: string; url: string },
  signal: AbortSignal,
): Promise<Connection> {
  if (!isOnThisMachine(url)) {
    return { kind: "not-tried", reason: `${url} is not on this machine` };
  }
  const path = `/${machineId}/connect`;
  const { status, answer } = await callFunction(user.client, { path, signal });
  const issued = connectSchema.safeParse(answer).data;
  if (issued === undefined) {
    const reason = `POST ${path} was answered HTTP ${status}: ${JSON.stringify(answer)}`;
    return { kind: "failed", url, reason };
  }
  const withToken = new URL(issued.websocketUrl);
  withToken.searchParams.set("token", issued.token);
  try {
    return { kind: "greeted", url, greeting: await firstMessage(withToken, signal) };
  } catch (error) {
    return { kind: "failed", url, reason: error instanceof Error ? error.message : String(error) };
  }
}

/** The first thing that a WebSocket server says. Rejects with a reason. */
export async function firstMessage(url: URL, signal: AbortSignal): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const tooLate = AbortSignal.timeout(GREETING_TIMEOUT_MS);
  const ended = AbortSignal.any([signal, tooLate]);
  const onAbort = () =>
    reject(new Error(tooLate.aborted ? `silent for ${GREETING_TIMEOUT_MS} ms` : "interrupted"));
  ended.addEventListener("abort", onAbort);
  const socket = new WebSocket(url);
  socket.onmessage = ({ data }) => resolve(String(data));
  socket.onerror = (event) =>
    reject(new Error(event instanceof ErrorEvent ? event.message : "cannot connect"));
  socket.onclose = ({ code, reason }) => reject(new Error(`closed with ${code} ${reason}`));
  try {
    return await promise;
  } finally {
    ended.removeEventListener("abort", onAbort);
    socket.close();
  }
}
