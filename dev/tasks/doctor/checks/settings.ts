/** The function's settings: does each parse, is each one known, does any hold back what it is for. */
import {
  ENVIRONMENT,
  type VariableName,
} from "../../../../supabase/functions/provision-machine/config/environment.ts";
import { type Check, CLI, type Problem, setCommand, type Subject } from "../check.ts";

const TOKEN_COMMAND = "fly tokens create org --org <organisation> --expiry 8760h";
/** How each required or recommended setting is made. */
const HOW: Partial<Record<VariableName, string>> = {
  FLY_API_TOKEN: `${TOKEN_COMMAND}, then ${setCommand("--env-file <file>")}`,
  CONNECT_TOKEN_SECRET: setCommand('CONNECT_TOKEN_SECRET="$(openssl rand -hex 32)"'),
  DOCKER_IMAGE: setCommand("DOCKER_IMAGE=registry.fly.io/<app>:<tag>"),
};
/** What the platform or the doctor itself reads. */
const OTHER_NAMES = new Set([
  "DATABASE_URL",
  "SUPABASE_SECRET_KEY",
  "SUPABASE_PUBLISHABLE_KEY",
  "SUPABASE_PUBLISHABLE_KEYS",
  "SUPABASE_ANON_KEY",
  "SUPABASE_DB_URL",
  "SUPABASE_JWKS",
]);
const LOOKS_SECRET = /TOKEN|SECRET|PASSWORD|PRIVATE|API_?KEY/i;

export const SETTINGS: Check = {
  name: "settings",
  run: (subject) => [
    ...unparsed(subject),
    ...unknownNames(subject),
    ...missing(subject),
    ...secretsInMachines(subject),
  ],
};

function unparsed({ environment }: Subject): Problem[] {
  return environment.problems.map(({ variable, kind, reason }) => ({
    says: kind === "missing" ? `${variable} is not set` : `${variable} is not valid: ${reason}`,
    fix: HOW[variable] ?? setCommand(`${variable}=<value>`),
  }));
}

/** A setting under a wrong name is a setting that is not set, and nothing else says so. */
function unknownNames({ namesInFile }: Subject): Problem[] {
  const known = Object.keys(ENVIRONMENT);
  return namesInFile.filter((name) => !known.includes(name) && !OTHER_NAMES.has(name))
    .map((name) => {
      const nearest = known.find((other) => plain(other) === plain(name)) ??
        known.find((other) => distance(plain(other), plain(name)) <= 2);
      const meant = nearest === undefined ? "" : `; did you mean ${nearest}?`;
      return {
        says: `${name} is no setting of the function${meant}`,
        fix: nearest === undefined
          ? "take it out of the file: docs/OPERATIONS.md#settings lists all"
          : `${setCommand(`${nearest}=<value>`)}, and rename it in the file`,
      };
    });
}

function missing({ environment: { settings, problems } }: Subject): Problem[] {
  const found: Problem[] = [];
  const broken = (variable: VariableName) => problems.some((p) => p.variable === variable);
  if (settings.CONNECT_TOKEN_SECRET === undefined && !broken("CONNECT_TOKEN_SECRET")) {
    found.push({
      says: "CONNECT_TOKEN_SECRET is not set, so anyone who knows a machine's address gets in",
      fix: HOW.CONNECT_TOKEN_SECRET ?? "",
    });
  }
  if (!settings.FLY_ORG_SLUG && !settings.FLY_ROUTER_URL && !broken("FLY_ORG_SLUG")) {
    found.push({
      says:
        "neither FLY_ORG_SLUG nor FLY_ROUTER_URL is set, so a connection reaches any user's machine",
      fix: setCommand("FLY_ORG_SLUG=<organisation>"),
    });
  }
  if (settings.ALERT_WEBHOOK_URL === undefined && !broken("ALERT_WEBHOOK_URL")) {
    found.push({
      says: "ALERT_WEBHOOK_URL is not set, so nobody is told of failures",
      fix: setCommand("ALERT_WEBHOOK_URL=<webhook>"),
    });
  }
  if (settings.PROVISIONING_PAUSED !== undefined) {
    found.push({
      says: "PROVISIONING_PAUSED is set, so nobody gets a new machine",
      fix: `${CLI} secrets unset PROVISIONING_PAUSED`,
    });
  }
  return found;
}

function secretsInMachines({ environment: { settings } }: Subject): Problem[] {
  return Object.keys(settings.MACHINE_ENV ?? {}).filter((name) => LOOKS_SECRET.test(name))
    .map((name) => ({
      says: `MACHINE_ENV has ${name}, and whoever sees a machine's configuration can read it`,
      fix: `take it out of MACHINE_ENV, and: fly secrets set ${name}=<value> --app <app>`,
    }));
}

function plain(name: string): string {
  return name.toUpperCase().replaceAll(/[^A-Z0-9]/g, "");
}

/** Levenshtein's: how many letters are added, left out or replaced. */
function distance(a: string, b: string): number {
  let above = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (above[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(replaced, (above[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1));
    }
    above = row;
  }
  return above[b.length] ?? 0;
}
