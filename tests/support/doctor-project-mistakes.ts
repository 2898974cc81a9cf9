/** Mistakes about the project: settings, lids, the function, CORS, sign-up. */
import type { Mistake, World } from "./doctor-mistake.ts";

/** The function answers what a handler says in its place. */
const inItsPlace = (answer: (request: Request) => Response | Promise<Response>) => {
  return ({ stack }: World) => {
    stack.supabase.setFunction("provision-machine", answer);
    return () => stack.supabase.setFunction("provision-machine", stack.fn.url);
  };
};

export const PROJECT_MISTAKES: readonly Mistake[] = [
  {
    name: "a setting under a wrong name",
    file: { FLY_APPNAME: "my-app" },
    says: /^FLY_APPNAME is no setting of the function; did you mean FLY_APP_NAME\?$/,
    fix: /FLY_APP_NAME=<value>/,
  },
  {
    name: "a secret in every machine's configuration",
    file: { MACHINE_ENV: '{"OPENAI_API_KEY":"sk-of-a-mistake"}' },
    says: /^MACHINE_ENV has OPENAI_API_KEY/,
    fix: /fly secrets set OPENAI_API_KEY/,
  },
  {
    name: "no secret for connect tokens",
    file: { CONNECT_TOKEN_SECRET: undefined },
    says: /^CONNECT_TOKEN_SECRET is not set/,
    fix: /openssl rand -hex 32/,
  },
  {
    name: "nobody is told",
    file: { ALERT_WEBHOOK_URL: undefined },
    says: /^ALERT_WEBHOOK_URL is not set, so nobody is told of failures$/,
    fix: /ALERT_WEBHOOK_URL/,
  },
  {
    name: "a pause that was forgotten",
    file: { PROVISIONING_PAUSED: "back at noon" },
    says: /^PROVISIONING_PAUSED is set, so nobody gets a new machine$/,
    fix: /secrets unset PROVISIONING_PAUSED$/,
  },
  {
    name: "a lid that is too high",
    file: { MAX_MACHINES: "50000" },
    says: /^MAX_MACHINES is 50000: a mistake may cost \$100000 a month and more$/,
    fix: /MAX_MACHINES=100$/,
  },
  {
    name: "one account with a fleet",
    file: { MAX_MACHINES_PER_USER: "99" },
    says: /^MAX_MACHINES_PER_USER is 99/,
    fix: /MAX_MACHINES_PER_USER=1$/,
  },
  {
    name: "a loop's share of all creates",
    file: { MAX_PROVISIONS_PER_USER_PER_HOUR: "5000" },
    says: /^MAX_PROVISIONS_PER_USER_PER_HOUR is 5000/,
    fix: /MAX_PROVISIONS_PER_USER_PER_HOUR=20$/,
  },
  {
    name: "machines that nothing ends",
    file: { MACHINE_AUTOSTOP: "off" },
    says: /a forgotten machine bills for ever$/,
    fix: /MACHINE_MAX_LIFETIME_HOURS=720$/,
  },
  {
    name: "a project that is not there",
    file: { SUPABASE_URL: "http://127.0.0.1:1" },
    says: /^http:\/\/127\.0\.0\.1:1 cannot be reached/,
    fix: /^compare SUPABASE_URL/,
  },
  {
    name: "a function that is not deployed",
    plant: inItsPlace(() =>
      Response.json({ code: "NOT_FOUND", message: "Requested function was not found" }, {
        status: 404,
        headers: { "access-control-allow-origin": "*" },
      })
    ),
    says: /^the function provision-machine is not deployed$/,
    fix: /functions deploy provision-machine --use-api$/,
  },
  {
    name: "verify_jwt is on",
    plant: ({ stack }) => {
      const url = stack.fn.url;
      // The gateway refuses before the function is reached, and lets preflights through.
      stack.supabase.setFunction(
        "provision-machine",
        (request) =>
          request.method === "OPTIONS"
            ? fetch(new URL(new URL(request.url).pathname, url), request)
            : Response.json({ code: 401, message: "Missing authorization header" }, {
              status: 401,
            }),
      );
      return () => stack.supabase.setFunction("provision-machine", url);
    },
    says: /^the gateway asks for a user's token \(verify_jwt is on\)/,
    fix: /--no-verify-jwt$/,
  },
  {
    name: "another project's key",
    file: { SUPABASE_SECRET_KEY: "sb_secret_of-another-project" },
    says: /^the function does not know the secret key/,
    fix: /copy a secret key/,
  },
  {
    name: "a publishable key as the secret one",
    file: { SUPABASE_SECRET_KEY: "sb_publishable_of-this-project" },
    says: /^SUPABASE_SECRET_KEY is a publishable key, which opens nothing$/,
    fix: /copy a secret key/,
  },
  {
    name: "a legacy key",
    file: ({ stack }) => ({ SUPABASE_SECRET_KEY: stack.supabase.serviceRoleKey }),
    says: /^the key is a legacy service_role key/,
    fix: /make a secret key/,
  },
  {
    name: "an origin that may not call",
    plant: ({ stack }) => {
      const url = stack.fn.url;
      stack.supabase.setFunction("provision-machine", async (request) => {
        const path = new URL(request.url).pathname;
        const response = await fetch(new URL(path, url), request);
        const headers = new Headers(response.headers);
        headers.set("access-control-allow-origin", "https://before.example");
        return new Response(response.body, { status: response.status, headers });
      });
      return () => stack.supabase.setFunction("provision-machine", url);
    },
    file: { ALLOWED_ORIGINS: "https://app.example" },
    says: /^browsers on https:\/\/app\.example may not call the function/,
    fix: /ALLOWED_ORIGINS=https:\/\/app\.example$/,
  },
  {
    name: "anonymous sign-in with machines for all",
    file: { ALLOW_ANONYMOUS_USERS: "true" },
    auth: { external: { anonymous_users: true } },
    says: /^anonymous sign-ins are on and ALLOW_ANONYMOUS_USERS is true/,
    fix: /switch anonymous sign-ins off/,
  },
  {
    name: "open sign-up without confirmation",
    auth: { mailer_autoconfirm: true },
    says: /^sign-up is open and e-mail addresses are not confirmed/,
    fix: /Confirm email/,
  },
];
