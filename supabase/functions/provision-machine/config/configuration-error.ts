import { AppError } from "../errors.ts";
import type { EnvironmentProblem, Settings, VariableName } from "./environment.ts";

/** Without these no caller can be known and no row can be written. */
const PLATFORM_VARIABLES: VariableName[] = [
  "SUPABASE_URL",
  "SUPABASE_SECRET_KEYS",
  "SUPABASE_SERVICE_ROLE_KEY",
];

export type PlatformSettings =
  & Pick<Settings, "SUPABASE_URL">
  & Partial<Pick<Settings, "SUPABASE_SECRET_KEYS" | "SUPABASE_SERVICE_ROLE_KEY">>;

/** The problems that leave nothing to work with. */
export function platformProblems(problems: EnvironmentProblem[]): EnvironmentProblem[] {
  return problems.filter(({ variable }) => PLATFORM_VARIABLES.includes(variable));
}

/**
 * The answer to a broken environment. It names the first problem; all of them are in `problems`
 * for the log. Values are never repeated.
 */
export function configurationError(
  problems: [EnvironmentProblem, ...EnvironmentProblem[]],
): AppError {
  const [{ variable, kind, reason }] = problems;
  if (kind === "missing") {
    return new AppError(
      "configuration_error",
      `${variable} not configured - cannot provision Fly.io machine`,
      { message: `Server configuration error - ${variable} missing` },
    );
  }
  return new AppError(
    "configuration_error",
    `${variable} not valid - cannot provision Fly.io machine`,
    { message: `Server configuration error - ${variable} invalid: ${reason}` },
  );
}

/** Whether there is at least one problem. */
export function hasProblems(
  problems: EnvironmentProblem[],
): problems is [EnvironmentProblem, ...EnvironmentProblem[]] {
  return problems.length > 0;
}
