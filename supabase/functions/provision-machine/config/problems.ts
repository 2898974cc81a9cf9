/** What a broken environment means for a request. */
import { AppError } from "../errors.ts";
import {
  type Environment,
  type EnvironmentProblem,
  type Platform,
  PLATFORM_VARIABLES,
  type Settings,
} from "./environment.ts";

/**
 * The answer to a broken environment: it names `problem` and what is impossible because of it, never
 * the variable's value.
 */
export function configurationError(
  { variable, kind, reason }: EnvironmentProblem,
  consequence = "cannot provision Fly.io machine",
): AppError {
  if (kind === "missing") {
    return new AppError(
      "configuration_error",
      `${variable} not configured - ${consequence}`,
      { hint: `Server configuration error - ${variable} missing` },
    );
  }
  return new AppError(
    "configuration_error",
    `${variable} not valid - ${consequence}`,
    { hint: `Server configuration error - ${variable} invalid: ${reason}` },
  );
}

/** The answer while the database belongs to another project than the one that called it. */
export function otherProject(): AppError {
  return new AppError(
    "configuration_error",
    "This database belongs to another project - cannot provision Fly.io machine",
    {
      hint:
        "Server configuration error - the database was moved or copied; its operators have to say which",
    },
  );
}

/** What leads to the database. Throws {@link AppError} `configuration_error`. */
export function requirePlatform(environment: Environment): Platform {
  if (environment.complete) return environment.platform;
  const { platform, problems } = environment;
  if (platform !== null) return platform;
  const problem = problems.find(({ variable }) => PLATFORM_VARIABLES.includes(variable));
  throw configurationError(problem ?? problems[0]);
}

/**
 * The secret behind connect tokens, whatever is wrong with other settings. Throws {@link AppError}
 * `configuration_error` when it is missing or invalid.
 */
export function requireConnectTokenSecret({ settings, problems }: Environment): string {
  const variable = "CONNECT_TOKEN_SECRET";
  if (settings[variable] !== undefined) return settings[variable];
  const problem = [...problems].find((found) => found.variable === variable) ??
    { variable, kind: "missing", reason: "not set" };
  throw configurationError(problem, "cannot issue a connect token");
}

/** All settings. Throws {@link AppError} `configuration_error` when one is missing or invalid. */
export function requireSettings(environment: Environment): Settings {
  if (environment.complete) return environment.settings;
  throw configurationError(environment.problems[0]);
}
