/** Calls the function with supabase-js, and gives back what it answered, success or not. */
import type { SupabaseClient } from "@supabase/supabase-js";

export const FUNCTION_NAME = "provision-machine";

export interface FunctionAnswer {
  /** The HTTP status; `null` when nothing answered. */
  status: number | null;
  /** The answer's JSON, or its text when it is none; why there is none, when nothing answered. */
  answer: unknown;
}

/** Input of {@link callFunction}. */
export interface FunctionCall {
  method?: "POST" | "DELETE";
  /** Below the function's own; starts with a slash. */
  path?: string;
  body?: Record<string, unknown>;
  signal: AbortSignal;
}

/** Never throws. */
export async function callFunction(
  client: SupabaseClient,
  { path = "", ...call }: FunctionCall,
): Promise<FunctionAnswer> {
  const { data, error, response } = await client.functions.invoke(FUNCTION_NAME + path, call);
  if (!error) return { status: response?.status ?? null, answer: data };
  // supabase-js keeps the answer of a failed call in the error's context.
  const { context } = error;
  if (!(context instanceof Response)) {
    return { status: null, answer: [error.message, context].filter(Boolean).join(": ") };
  }
  return { status: context.status, answer: parseJson(await context.text()) };
}

export function isSuccess(status: number | null): boolean {
  return status !== null && status >= 200 && status < 300;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Not the function's own answer: shown as it came.
    return text;
  }
}
