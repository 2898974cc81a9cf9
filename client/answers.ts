/** Turns bodies of successful answers into typed results. */
import { ProvisionMachineError, text } from "./errors.ts";
import type { Connection, Machine } from "./types.ts";

/** @throws {ProvisionMachineError} `unexpected_response` if the body describes no machine */
export function toMachine(body: Record<string, unknown>, headers: Headers): Machine {
  const { machineId, websocketUrl, status, region, flyMachineId, message, requestId } = body;
  if (
    typeof machineId !== "string" || typeof region !== "string" ||
    (status !== "running" && status !== "provisioning" && status !== "stopped") ||
    (typeof websocketUrl !== "string" && (websocketUrl !== null || status !== "provisioning"))
  ) {
    throw new ProvisionMachineError("unexpected_response", "The answer describes no machine", {
      requestId: text(requestId),
    });
  }
  return {
    machineId,
    websocketUrl,
    status,
    region,
    flyMachineId: text(flyMachineId),
    message: text(message) ?? "",
    requestId: text(requestId) ?? "",
    replayed: headers.get("idempotency-replayed") === "true",
  };
}

/** @throws {ProvisionMachineError} `unexpected_response` if the body describes no connection */
export function toConnection(body: Record<string, unknown>): Connection {
  const { machineId, status, websocketUrl, token, expiresAt, requestId } = body;
  if (
    typeof machineId !== "string" || (status !== "running" && status !== "stopped") ||
    typeof token !== "string" ||
    typeof expiresAt !== "string" || typeof websocketUrl !== "string" ||
    !URL.canParse(websocketUrl)
  ) {
    throw new ProvisionMachineError("unexpected_response", "The answer describes no connection", {
      requestId: text(requestId),
    });
  }
  const url = new URL(websocketUrl);
  url.searchParams.set("token", token);
  return {
    machineId,
    status,
    websocketUrl,
    token,
    url: url.href,
    expiresAt,
    requestId: text(requestId) ?? "",
  };
}

/** The parsed object; null when the text is no JSON object. */
export function jsonObject(answer: string): Record<string, unknown> | null {
  try {
    const parsed: unknown = JSON.parse(answer);
    return typeof parsed === "object" && parsed !== null && !Array.isArray(parsed)
      ? parsed as Record<string, unknown>
      : null;
  } catch {
    // Not JSON, so this is not an answer of the function.
    return null;
  }
}
