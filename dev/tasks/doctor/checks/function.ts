/** The deployed function: is it there, does the gateway let callers through, what does it say of itself? */
import { z } from "zod";
import { type Check, CLI, type Problem, type Project, reasonOf, type Subject } from "../check.ts";

const LIMIT_MS = 20_000;
const DEPLOY = `${CLI} functions deploy provision-machine --use-api`;
const SCHEDULE = "docs/OPERATIONS.md#schedule-reconcile";

const Health = z.object({
  status: z.string(),
  checks: z.record(
    z.string(),
    z.array(z.object({ status: z.string(), output: z.string().optional() })),
  )
    .optional(),
});
type Health = z.output<typeof Health>;

/** What mends each check of GET /health; the longest prefix counts. */
const HEALTH_FIXES: Readonly<Record<string, string>> = {
  "environment:": `${CLI} secrets set --env-file <file>`,
  "database:responseTime": "https://status.supabase.com, and the project's page: is it paused?",
  "database:schemaVersion": `${CLI} db push --remote`,
  "database:project": "docs/RUNBOOK.md#the-project-moved-or-was-copied",
  "fly:isolation": `${CLI} secrets set FLY_ORG_SLUG=<organisation>`,
  "fly:": "docs/RUNBOOK.md#fly_unauthorized",
  "reconcile:lastRun": SCHEDULE,
  "machines:pastDeadline": SCHEDULE,
  "machines:withoutRow": "docs/RUNBOOK.md#a-backup-was-restored",
  "alerts:undelivered": `${CLI} secrets set ALERT_WEBHOOK_URL=<webhook>`,
};

function ask(
  { fetch }: Subject,
  { url }: Project,
  headers: Record<string, string>,
  method = "GET",
): Promise<Response> {
  return fetch(`${url}/functions/v1/provision-machine/health`, {
    method,
    headers,
    signal: AbortSignal.timeout(LIMIT_MS),
  });
}

export const FUNCTION: Check = {
  name: "function",
  async run(subject) {
    const { project } = subject;
    if (project === null) return { skipped: "SUPABASE_URL or the secret key is missing" };
    let response: Response;
    try {
      response = await ask(subject, project, {});
    } catch (error) {
      return [{
        says: `${project.url} cannot be reached: ${reasonOf(error)}`,
        fix:
          "compare SUPABASE_URL with the project's page; a paused project has to be restored there",
      }];
    }
    const text = await response.text();
    if (response.status === 404) {
      return [{ says: "the function provision-machine is not deployed", fix: DEPLOY }];
    }
    // The function answers /health to anyone, so this 401 is the gateway's.
    if (response.status === 401) {
      return [{
        says: "the gateway asks for a user's token (verify_jwt is on), which no service has",
        fix: `${DEPLOY} --no-verify-jwt`,
      }];
    }
    if (parseHealth(text) === null) {
      return [{
        says: `the function does not start: HTTP ${response.status}, ${text.slice(0, 120)}`,
        fix: `${CLI} logs --remote --service functions, then ${DEPLOY}`,
      }];
    }
    return [...keyProblems(project), ...await reportProblems(subject, project)];
  },
};

function keyProblems({ secretKey }: Project): Problem[] {
  if (!/^eyJ/.test(secretKey)) return [];
  return [{
    says: "the key is a legacy service_role key, which cannot be renewed without every other key",
    fix: "make a secret key on the project's page Settings, API keys, and use that",
  }];
}

async function reportProblems(subject: Subject, project: Project): Promise<Problem[]> {
  const response = await ask(subject, project, { apikey: project.secretKey });
  const health = parseHealth(await response.text());
  if (health?.checks === undefined) {
    return [{
      says: project.secretKey.startsWith("sb_publishable_")
        ? "SUPABASE_SECRET_KEY is a publishable key, which opens nothing"
        : "the function does not know the secret key: it is another project's, or was revoked",
      fix: "copy a secret key from the project's page Settings, API keys",
    }];
  }
  return Object.entries(health.checks).flatMap(([name, results]) =>
    results.filter(({ status }) => status !== "pass").map(({ output }): Problem => ({
      says: `health says ${name}: ${output ?? "not as it should be"}`,
      fix: fixOf(name),
    }))
  );
}

function fixOf(name: string): string {
  const prefix = Object.keys(HEALTH_FIXES).filter((known) => name.startsWith(known))
    .sort((a, b) => b.length - a.length)[0];
  return HEALTH_FIXES[prefix ?? ""] ?? "docs/OPERATIONS.md#health";
}

function parseHealth(text: string): Health | null {
  try {
    return Health.safeParse(JSON.parse(text)).data ?? null;
  } catch {
    // The gateway's page, or half an answer: said by the caller.
    return null;
  }
}

/** A browser's question before it calls, from each origin that the settings allow. */
export const CORS: Check = {
  name: "CORS",
  async run(subject) {
    const { project, environment: { settings: { ALLOWED_ORIGINS: origins = [] } } } = subject;
    if (project === null) return { skipped: "SUPABASE_URL or the secret key is missing" };
    const found: Problem[] = [];
    for (const origin of origins) {
      const asked = origin === "*" ? "https://any.example" : origin;
      let allowed: string | null;
      try {
        const response = await ask(subject, project, {
          origin: asked,
          "access-control-request-method": "POST",
          "access-control-request-headers": "authorization, apikey, content-type, x-client-info",
        }, "OPTIONS");
        await response.body?.cancel();
        allowed = response.headers.get("access-control-allow-origin");
      } catch (error) {
        return { skipped: reasonOf(error) };
      }
      if (allowed === "*" || allowed === asked) continue;
      found.push({
        says: `browsers on ${origin} may not call the function: it has another ALLOWED_ORIGINS`,
        fix: `${CLI} secrets set ALLOWED_ORIGINS=${origins.join(",")}`,
      });
    }
    return found;
  },
};
