/**
 * Gives a database error the answer that PostgREST gives it.
 *
 * lite knows most SQLSTATEs; those it does not know it answers with 500, code `SUP` and no
 * details, among them check violations and `raise exception`. It does honour PostgREST's own
 * escape hatch, an error with code `PGRST` that carries the whole answer, so the unknown ones are
 * rewritten to that.
 */
import { z } from "zod";
import type { StackDatabase } from "./database.ts";

const databaseError = z.object({
  code: z.string().regex(/^[0-9A-Z]{5}$/),
  message: z.string(),
  detail: z.string().nullish(),
  hint: z.string().nullish(),
});

/** Makes `connection` answer with PostgREST's status and body where lite would answer `SUP`. */
export function answerLikePostgrest(connection: StackDatabase["connection"]): void {
  connection.normalizeDbError = (error) => {
    if (!(error instanceof Error)) return error;
    const parsed = databaseError.safeParse(error);
    if (!parsed.success) {
      return "relation" in error ? inOneLine(error, error.message) : error;
    }
    const { code, message, detail, hint } = parsed.data;
    return inOneLine(
      liteKnows(code) ? error : {
        code: "PGRST",
        message: JSON.stringify({ code, message, details: detail ?? null, hint: hint ?? null }),
        detail: JSON.stringify({ status: postgrestStatus(code), headers: {} }),
      },
      `${code} ${message}`,
    );
  };
}

/** lite prints each error that it answers, with stack and driver; one line says as much. */
function inOneLine(error: object, summary: string): object {
  return Object.defineProperty(error, Symbol.for("Deno.customInspect"), {
    value: () => `Data API answers an error: ${summary}`,
    configurable: true,
  });
}

/**
 * PostgREST's table of statuses, except those that depend on the role.
 * Source: https://docs.postgrest.org/en/stable/references/errors.html#status-codes
 */
export function postgrestStatus(sqlState: string): number {
  const byCode: Record<string, number> = {
    "23503": 409,
    "23505": 409,
    "25006": 405,
    "53400": 500,
    "42883": 404,
    "42P01": 404,
    "42P17": 500,
    P0001: 400,
  };
  const byClass: Record<string, number> = {
    "08": 503,
    "09": 500,
    "0L": 403,
    "0P": 403,
    "25": 500,
    "28": 403,
    "2D": 500,
    "38": 500,
    "39": 500,
    "3B": 500,
    "40": 500,
    "53": 503,
    "54": 500,
    "55": 500,
    "57": 500,
    "58": 500,
    F0: 500,
    HV: 500,
    P0: 500,
    XX: 500,
  };
  return byCode[sqlState] ?? byClass[sqlState.slice(0, 2)] ?? 400;
}

function liteKnows(code: string): boolean {
  return /^(42|22|21|PT)/.test(code) || ["23502", "23503", "23505", "25006"].includes(code);
}
