/** What a broken environment means for a request. */
import { AppError } from "../errors.ts";
import {
  type Environment,
  type EnvironmentProblem,
  type Platform,
  PLATFORM_VARIABLES,
  type Settings,
} from "./environment.ts";

/** The answer to a broken environment: it names `problem`, never the variable's value. */
export function configurationError({ variable, kind, reason }: EnvironmentProblem): AppError {
  if (kind === "missing") {
    return new AppError(
      "configuration_error",
      `${variable} not configured - cannot provision Fly.io machine`,
      { hint: `Server configuration error - ${variable} missing` },
    );
  }
  return new AppError(
    "configuration_error",
    `${variable} not valid - cannot provision Fly.io machine`,
    { hint: `Server configuration error - ${variable} invalid: ${reason}` },
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

/** All settings. Throws {@link AppError} `configuration_error` when one is missing or invalid. */
export function requireSettings(environment: Environment): Settings {
  if (environment.complete) return environment.settings;
  throw configurationError(environment.problems[0]);
}
