/**
 * Passes an operator's requests on to the project. Hosted Supabase refuses a secret key whose
 * request says in `User-Agent` that it comes from a browser
 * (https://supabase.com/docs/guides/api/api-keys#secret-keys), so they go through this proxy. It
 * holds no key: every request must bring its own.
 */
import type { ConsoleConfig } from "./page/config.ts";

/** Its path on the console's own server. */
export const OPERATOR_PATH = "/operator";

const PASSED_ON = ["apikey", "authorization", "accept"];
const PASSED_BACK = ["content-type", "x-request-id", "retry-after"];

/** The response to a request whose path begins with {@link OPERATOR_PATH}. */
export async function proxyOperator(request: Request, config: ConsoleConfig): Promise<Response> {
  const { pathname, search } = new URL(request.url);
  const path = pathname.slice(OPERATOR_PATH.length);
  if (!isAllowed(request.method, path, config)) {
    return Response.json({ message: "The console passes only its own calls on" }, { status: 404 });
  }
  const headers = new Headers({ "user-agent": "provision-machine-console" });
  for (const name of PASSED_ON) {
    const value = request.headers.get(name);
    if (value !== null) headers.set(name, value);
  }
  try {
    const response = await fetch(config.supabaseUrl + path + search, {
      method: request.method,
      headers,
      redirect: "manual",
    });
    const back = new Headers({ "cache-control": "no-store" });
    for (const name of PASSED_BACK) {
      const value = response.headers.get(name);
      if (value !== null) back.set(name, value);
    }
    return new Response(response.body, { status: response.status, headers: back });
  } catch (error) {
    return Response.json(
      { message: `${config.supabaseUrl} could not be reached: ${String(error)}` },
      { status: 502 },
    );
  }
}

/** Only the calls that the operator's page makes. */
function isAllowed(method: string, path: string, { functionName }: ConsoleConfig): boolean {
  const call = `${method} ${path}`;
  const ofFunction = `/functions/v1/${functionName}`;
  return [
    `GET ${ofFunction}/health`,
    `GET ${ofFunction}/metrics`,
    `POST ${ofFunction}/reconcile`,
    "GET /rest/v1/cloud_machines",
    "GET /rest/v1/machine_events",
  ].includes(call) || new RegExp(`^DELETE ${ofFunction}/[a-z0-9-]{1,63}$`).test(call);
}
