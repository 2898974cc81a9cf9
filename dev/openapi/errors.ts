/** The bodies of errors: a schema per code, with the facts of the table of codes. */
import { z } from "zod";
import {
  CODES,
  type ErrorCode,
  isProvisioningErrorCode,
} from "../../supabase/functions/provision-machine/errors.ts";

/** Fields that one code has beyond those of every error. */
const EXTRA: Partial<Record<ErrorCode, Record<string, z.ZodType>>> = {
  invalid_request: {
    issues: z.array(z.strictObject({ path: z.string(), message: z.string() })),
  },
  machine_limit_reached: {
    websocketUrl: z.url().nullable(),
    status: z.enum(["provisioning", "running", "stopped", "destroying"]).nullable(),
  },
};

/** The body of every answer with this code. */
export function errorSchema(code: ErrorCode): z.ZodType {
  const retries = isProvisioningErrorCode(code) ? ["same_key", "new_key", "no"] : ["new_key", "no"];
  return z.strictObject({
    error: z.string().min(1).describe("What happened"),
    message: z.string().min(1).describe("What it means for the caller"),
    code: z.literal(code),
    retry: z.enum(retries).describe("Whether sending it again can help, and with which key"),
    machineId: z.string().nullable(),
    requestId: z.string().min(1),
    ...EXTRA[code],
  }).describe(CODES[code].callerHint);
}
