/** From the command's environment and a file of settings to what is looked at. */
import { parseEnv } from "node:util";
import postgres from "postgres";
import { parseEnvironment } from "../../../supabase/functions/provision-machine/config/parse-environment.ts";
import { secretsOf } from "../../../supabase/functions/provision-machine/config/secrets.ts";
import { FlyClient } from "../../../supabase/functions/provision-machine/fly/client.ts";
import { Redactor } from "../../../supabase/functions/provision-machine/logging/redactor.ts";
import { systemClock } from "../../../supabase/functions/provision-machine/runtime.ts";
import type { Subject } from "./check.ts";

const PROJECT_ROOT = new URL("../../../", import.meta.url);

export interface SubjectInput {
  /** The shell's environment; what the file has comes first. */
  env: Readonly<Record<string, string>>;
  /** Text of a file of settings; null without one. */
  file: string | null;
}

/** A subject, and the connection that the caller ends. */
export async function openSubject({ env, file }: SubjectInput): Promise<Subject & AsyncDisposable> {
  const settings: Record<string, string> = {};
  for (const [name, value] of Object.entries(file === null ? {} : parseEnv(file))) {
    if (value !== undefined) settings[name] = value;
  }
  const texts = { ...env, ...settings };
  const key = texts["SUPABASE_SECRET_KEY"]?.trim() || undefined;
  const environment = parseEnvironment({
    ...texts,
    ...(key === undefined ? {} : { SUPABASE_SECRET_KEYS: JSON.stringify({ default: key }) }),
  });
  const redactor = new Redactor();
  redactor.protect([...secretsOf(environment), texts["DATABASE_URL"] ?? ""]);
  const { platform, settings: { FLY_API_TOKEN: token, FLY_API_HOSTNAME: baseUrl } } = environment;
  const url = texts["DATABASE_URL"]?.trim();
  const sql = url ? postgres(url, { max: 1, connect_timeout: 10, onnotice: () => {} }) : null;
  return {
    environment,
    namesInFile: Object.keys(settings),
    project: platform && {
      url: platform.url,
      secretKey: platform.serviceKeys[0],
      publishableKey: texts["SUPABASE_PUBLISHABLE_KEY"]?.trim() || null,
    },
    sql,
    fly: token === undefined || baseUrl === undefined ? null : new FlyClient({
      runtime: { fetch, clock: systemClock },
      baseUrl,
      token,
      requestTimeoutMs: 10_000,
      redact: (text) => redactor.redact(text),
    }),
    migrations: await migrationVersions(),
    majorVersion: await majorVersion(),
    fetch,
    clock: systemClock,
    redact: (text) => redactor.redact(text),
    [Symbol.asyncDispose]: async () => void await sql?.end(),
  };
}

async function migrationVersions(): Promise<string[]> {
  const versions: string[] = [];
  for await (const { name } of Deno.readDir(new URL("supabase/migrations/", PROJECT_ROOT))) {
    const version = /^(\d{14})_.*\.sql$/.exec(name)?.[1];
    if (version !== undefined) versions.push(version);
  }
  return versions.sort();
}

async function majorVersion(): Promise<number> {
  const config = await Deno.readTextFile(new URL("supabase/config.toml", PROJECT_ROOT));
  const version = /^major_version = (\d+)$/m.exec(config)?.[1];
  if (version === undefined) throw new Error("supabase/config.toml has no major_version");
  return Number(version);
}
