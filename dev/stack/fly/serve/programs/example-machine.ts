/**
 * The example image inside this process: its token check is the example's own, and what it says is
 * what `examples/machine/server.mjs` says. A test holds the two against each other.
 */
import { checkConnectToken, TokenRefused } from "../../../../../examples/machine/connect-token.mjs";
import { Sessions } from "../../../../../examples/machine/sessions.mjs";
import { type Conversation, runInProcess } from "./in-process.ts";
import { endedProgram, type ProgramInput, type RunningProgram } from "./program.ts";

/** Starts the example image inside this process. */
export function exampleMachine({ env }: ProgramInput): RunningProgram {
  const { MACHINE_ID: machineId, CONNECT_KEY: key = "" } = env;
  if (!machineId || !/^[\w-]{43}$/.test(key)) return endedProgram(1);
  let owner = env.USER_ID || undefined;
  const memory = { processed: new Set<string>(), sessions: new Sessions() };
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
        return conversation({ machineId, userId }, href, memory);
      } catch (error) {
        if (!(error instanceof TokenRefused)) throw error;
        return Response.json({ error: error.message }, { status: 401 });
      }
    },
  });
}

/** What all connections to a machine share. */
interface Memory {
  processed: Set<string>;
  sessions: Sessions;
}

function conversation(
  greeting: Record<string, unknown>,
  url: string,
  memory: Memory,
): Conversation {
  const { processed, sessions } = memory;
  const { session, resumed } = sessions.open(url) ?? {};
  return {
    greet(send) {
      if (session === undefined) return send(greeting);
      send({ ...greeting, session: session.id, resumed });
      session.attach(send);
    },
    answer(data) {
      const { id, text, seen } = parse(data);
      if (session !== undefined && Number.isSafeInteger(seen)) {
        session.confirm(Number(seen));
        return [];
      }
      const valid = typeof id === "string" && id.length >= 1 && id.length <= 64;
      if (!valid || typeof text !== "string") {
        return [{ error: 'A message is JSON: { "id": 1 to 64 characters, "text": … }' }];
      }
      if (processed.has(id)) return [{ ack: id }];
      processed.add(id);
      if (session === undefined) return [{ echo: text, id }, { ack: id }];
      session.send(text);
      return [{ ack: id }];
    },
  };
}

function parse(data: unknown): Record<string, unknown> {
  try {
    const message: unknown = JSON.parse(String(data));
    return typeof message === "object" && message !== null ? { ...message } : {};
  } catch {
    // Answered like any other message that is none.
    return {};
  }
}
