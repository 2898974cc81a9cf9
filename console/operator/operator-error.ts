/** Why a request of the operator's page failed, in words. */
import * as z from "zod/mini";

export class OperatorError extends Error {
  override name = "OperatorError";
  constructor(
    message: string,
    /** The key is wrong, or the gateway refuses it: repeating the request cannot help. */
    readonly refused: boolean = false,
    readonly requestId: string | null = null,
  ) {
    super(message);
  }
}

const Body = z.object({
  error: z.optional(z.string()),
  message: z.optional(z.string()),
  code: z.optional(z.string()),
});

/** Whether the function wrote this response: it puts a request id on every one. */
export function isOfFunction({ headers }: Response): boolean {
  return headers.has("x-request-id");
}

/** A response of something between the page and the function, such as Supabase's gateway. */
export async function foreignResponse(
  response: Response,
  fromBrowser: boolean,
): Promise<OperatorError> {
  const what = await describe(response);
  if (isRefusal(response) && fromBrowser) {
    return new OperatorError(
      `Supabase's gateway refused the key (${what}). It refuses secret keys that come from a ` +
        "browser: run the console on your own machine (deno task console), where a small server " +
        "passes the key on, or use the legacy service_role key.",
      true,
    );
  }
  return new OperatorError(
    `Not a response of the function, but of something in front of it: ${what}`,
    isRefusal(response),
  );
}

/** A response that says what is wrong. */
export async function refusal(response: Response): Promise<OperatorError> {
  const requestId = response.headers.get("x-request-id");
  return new OperatorError(await describe(response), isRefusal(response), requestId);
}

function isRefusal({ status }: Response): boolean {
  return status === 401 || status === 403;
}

async function describe(response: Response): Promise<string> {
  const body: unknown = await response.json().catch(() => null);
  const { error, message, code } = Body.safeParse(body).data ?? {};
  const text = error ?? message;
  return `HTTP ${response.status}${code ? ` ${code}` : ""}${text ? `: ${text}` : ""}`;
}
