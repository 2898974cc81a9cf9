/** Turns bodies of successful answers into typed results. */
import { ProvisionMachineError, text } from "./errors.ts";
import type { ListedMachine } from "./rows.ts";
import type { Connection, Machine } from "./types.ts";

/** A successful answer. */
export interface Answer {
  /** The parsed JSON. */
  body: unknown;
  headers: Pick<Headers, "get">;
}

const STATUSES = ["running", "stopped", "provisioning"] as const;

/** @throws {ProvisionMachineError} `unexpected_response` if the body describes no machine */
export function toMachine({ body, headers }: Answer): Machine {
  if (hasTexts(body, "machineId", "status", "region", "message", "requestId")) {
    const status = STATUSES.find((known) => known === body.status);
    const websocketUrl = text(body["websocketUrl"]);
    if (status && (websocketUrl || status === "provisioning")) {
      return {
        ...body,
        status,
        websocketUrl,
        flyMachineId: text(body["flyMachineId"]),
        replayed: headers.get("idempotency-replayed") === "true",
      };
    }
  }
  throw unexpected(body);
}

/** @throws {ProvisionMachineError} `unexpected_response` if the body describes no connection */
export function toConnection({ body }: Answer): Connection {
  if (hasTexts(body, "machineId", "status", "websocketUrl", "token", "expiresAt", "requestId")) {
    const { status, websocketUrl, token } = body;
    if (status === "running" || status === "stopped") {
      // Not `URL`: React Native's has no searchParams.
      const separator = websocketUrl.includes("?") ? "&" : "?";
      const url = `${websocketUrl}${separator}token=${encodeURIComponent(token)}`;
      return { ...body, status, url };
    }
  }
  throw unexpected(body);
}

/** @throws {ProvisionMachineError} `unexpected_response` if the body is no list of rows */
export function toRows(body: unknown): ListedMachine[] {
  if (Array.isArray(body) && body.every(isRow)) return body;
  throw unexpected(body);
}

/** The columns that everything else depends on; the Data API vouches for the types of the others. */
function isRow(row: unknown): row is ListedMachine {
  return hasTexts(row, "id", "machine_id", "status");
}

function hasTexts<Name extends string>(
  value: unknown,
  ...names: Name[]
): value is Record<Name, string> & Record<string, unknown> {
  const object = asObject(value) ?? {};
  return names.every((name) => typeof object[name] === "string");
}

/** The value if it is a JSON object. */
export function asObject(value: unknown): Record<string, unknown> | null {
  return typeof value === "object" && value && !Array.isArray(value) ? { ...value } : null;
}

/** The parsed JSON; undefined when the text is none. */
export function parseJson(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    // Not JSON, so this is not an answer of the function.
    return undefined;
  }
}

function unexpected(body: unknown): ProvisionMachineError {
  return new ProvisionMachineError("unexpected_response", "unknown answer", {
    retry: "same_key",
    answer: asObject(body),
  });
}
