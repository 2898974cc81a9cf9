/** The body of POST /provision-machine, checked against the caller's rights. */
import { z } from "zod/v3";
import type { Caller } from "../auth/credentials.ts";
import { AppError } from "../errors.ts";
import type { Runtime } from "../runtime.ts";
import { CPU_PRIORITIES, type CpuPriority } from "./machine-config.ts";

export interface ProvisionRequest {
  userId: string;
  /** As asked for; null stands for the default region. */
  region: string | null;
  cpuPriority: CpuPriority;
}

export interface RegionSettings {
  /** Null when the setting itself is broken: then any code is taken, and the setting is reported. */
  regions: string[] | null;
}

const Body = z.object({
  userId: z.string().uuid("expected a UUID").toLowerCase().optional(),
  region: z.string().max(64).optional(),
  cpuPriority: z.enum(CPU_PRIORITIES, {
    message: `expected one of ${CPU_PRIORITIES.join(", ")}`,
  }).default("normal"),
}, { invalid_type_error: "expected a JSON object" }).strict();

/** Throws {@link AppError} `invalid_request`, with an issue for each mistake, or `forbidden`. */
export function parseProvisionRequest(
  body: unknown,
  caller: Caller,
  { regions }: RegionSettings,
): ProvisionRequest {
  const parsed = Body.safeParse(body);
  if (!parsed.success) {
    throw invalid(parsed.error.issues.map(({ path, message }) => ({
      path: path.join("."),
      message,
    })));
  }
  const { userId, region = null, cpuPriority } = parsed.data;
  if (region !== null && regions !== null && !regions.includes(region)) {
    throw invalid([{ path: "region", message: `expected one of ${regions.join(", ")}` }]);
  }
  if (region !== null && regions === null && !/^[a-z]{3}$/.test(region)) {
    throw invalid([{ path: "region", message: "expected a region code of three letters" }]);
  }
  if (caller.kind === "service") {
    if (userId === undefined) {
      throw invalid([{ path: "userId", message: "a service must say for which user" }]);
    }
    return { userId, region, cpuPriority };
  }
  if (userId !== undefined && userId !== caller.userId) {
    throw new AppError("forbidden", "userId is not the signed-in user", {
      hint: "Leave userId out, or send your own",
    });
  }
  return { userId: caller.userId, region, cpuPriority };
}

export function invalid(issues: { path: string; message: string }[]): AppError {
  const described = issues.map(({ path, message }) => path ? `${path}: ${message}` : message);
  return new AppError("invalid_request", `The request is not valid: ${described.join("; ")}`, {
    fields: { issues },
  });
}

/** SHA-256 of what was asked for, to tell a repeated request from a reused Idempotency-Key. */
export async function hashRequest(
  { userId, region, cpuPriority }: ProvisionRequest,
  runtime: Pick<Runtime, "sha256">,
): Promise<string> {
  const digest = await runtime.sha256(JSON.stringify([userId, region, cpuPriority]));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
