/** Sign-up: who can make an account, and so have a machine. */
import { z } from "zod";
import { type Check, type Problem, reasonOf } from "../check.ts";

/** GET /auth/v1/settings. https://github.com/supabase/auth/blob/master/internal/api/settings.go */
const AuthSettings = z.object({
  external: z.object({ anonymous_users: z.boolean().optional() }),
  disable_signup: z.boolean(),
  mailer_autoconfirm: z.boolean(),
});
const PAGE = "the project's page Authentication, Sign In / Providers";

export const SIGN_UP: Check = {
  name: "sign-up",
  async run({ project, fetch, environment: { settings } }) {
    if (project === null) return { skipped: "SUPABASE_URL or the secret key is missing" };
    let body: unknown;
    try {
      const response = await fetch(`${project.url}/auth/v1/settings`, {
        headers: { apikey: project.publishableKey ?? project.secretKey },
        signal: AbortSignal.timeout(10_000),
      });
      body = await response.json();
    } catch (error) {
      return { skipped: `Auth's settings: ${reasonOf(error)}` };
    }
    const parsed = AuthSettings.safeParse(body);
    if (!parsed.success) return { skipped: "Auth's settings could not be read" };
    const { external, disable_signup: closed, mailer_autoconfirm: unconfirmed } = parsed.data;
    const found: Problem[] = [];
    if (external.anonymous_users && settings.ALLOW_ANONYMOUS_USERS) {
      found.push({
        says:
          "anonymous sign-ins are on and ALLOW_ANONYMOUS_USERS is true: anyone has as many machines as calls",
        fix: `switch anonymous sign-ins off on ${PAGE}`,
      });
    }
    if (!closed && unconfirmed) {
      found.push({
        says: "sign-up is open and e-mail addresses are not confirmed, so an account costs nothing",
        fix: `switch "Confirm email" on, on ${PAGE}`,
      });
    }
    return found;
  },
};
