/**
 * The example image inside this process: its token check is the example's own, and what it says is
 * what `examples/machine/server.mjs` says. A test holds the two against each other.
 */
import { checkConnectToken, TokenRefused } from "../../../../../examples/machine/connect-token.mjs";
import { type Conversation, runInProcess } from "./in-process.ts";
import { endedProgram, type ProgramInput, type RunningProgram } from "./program.ts";

/** Starts the example image inside this process. */
export function exampleMachine({ env }: ProgramInput): RunningProgram {
  const { MACHINE_ID: machineId, CONNECT_KEY: key = "" } = env;
  if (!machineId || !/^[\w-]{43}$/.test(key)) return endedProgram(1);
  let owner = env.USER_ID || undefined;
  const processed = new Set<string>();
  return runInProcess({
    async respond(request, isWebSocket) {
      const { pathname, href } = new URL(request.url);
      if (!isWebSocket) {
        const healthy = pathname === "/health" && request.method === "GET";
        return healthy
          ? Response.json({ status: "pass" })
          : Response.json({ error: "Connect with a WebSocket." }, { status: 426 });
      }
      try {
        const { sub } = await checkConnectToken(href, { machineId, key });
        const userId = String(sub);
        owner ??= userId;
        if (userId !== owner) throw new TokenRefused("this machine belongs to another user");
        return conversation(machineId, userId, processed);
      } catch (error) {
        if (!(error instanceof TokenRefused)) throw error;
        return Response.json({ error: error.message }, { status: 401 });
      }
    },
  });
}

function conversation(machineId: string, userId: string, processed: Set<string>): Conversation {
  return {
    greeting: { machineId, userId },
    answer(data) {
      const message = parse(data);
      if (message === null) {
        return [{ error: 'A message is JSON: { "id": 1 to 64 characters, "text": … }' }];
      }
      const { id, text } = message;
      const echo = processed.has(id) ? [] : [{ echo: text, id }];
      processed.add(id);
      return [...echo, { ack: id }];
    },
  };
}

function parse(data: unknown): { id: string; text: string } | null {
  let message: unknown;
  try {
    message = JSON.parse(String(data));
  } catch {
    return null;
  }
  if (typeof message !== "object" || message === null) return null;
  const id: unknown = Reflect.get(message, "id");
  const text: unknown = Reflect.get(message, "text");
  const valid = typeof id === "string" && id.length >= 1 && id.length <= 64;
  return valid && typeof text === "string" ? { id, text } : null;
}
