/**
 * Some of Auth's admin calls, which @supabase/lite has none of: making a user whose address counts as
 * confirmed, reading one and deleting one. https://github.com/supabase/auth/blob/master/openapi.yaml
 */
import { z } from "zod";
import type { StackDatabase } from "./database.ts";

const PATH = /^\/auth\/v1\/admin\/users(?:\/([0-9a-f-]{36}))?$/;
const NewUser = z.looseObject({
  email: z.email(),
  password: z.string().min(6),
  email_confirm: z.literal(true),
});

/** What an admin call needs of the service around it. */
export interface AdminContext {
  database: StackDatabase;
  /** Whether the call has a key with service rights. */
  isService: boolean;
  /** Signs a user up, as anyone does; lite confirms every address. */
  signUp(credentials: { email: string; password: string }): Promise<Response>;
}

/** @returns null for any other path */
export async function answerAdmin(
  request: Request,
  { database, isService, signUp }: AdminContext,
): Promise<Response | null> {
  const [path, userId] = PATH.exec(new URL(request.url).pathname) ?? [];
  if (path === undefined) return null;
  if (!isService) {
    return refusal(401, "no_authorization", "This endpoint requires a valid Bearer token");
  }
  if (request.method === "POST" && userId === undefined) {
    const wanted = NewUser.safeParse(await request.json());
    if (!wanted.success) return refusal(400, "validation_failed", wanted.error.message);
    const response = await signUp(wanted.data);
    if (!response.ok) return response;
    const { user } = z.looseObject({ user: z.looseObject({}) }).parse(await response.json());
    return Response.json(user);
  }
  if (userId !== undefined && (request.method === "GET" || request.method === "DELETE")) {
    const statement = request.method === "GET"
      ? "select id, email from auth.users where id = $1"
      : "delete from auth.users where id = $1 returning id";
    const [user] = await database.query(statement, [userId]);
    if (user === undefined) return refusal(404, "user_not_found", "User not found");
    return Response.json(request.method === "GET" ? user : {});
  }
  return refusal(405, "method_not_allowed", "Method not allowed");
}

function refusal(code: number, error_code: string, msg: string): Response {
  return Response.json({ code, error_code, msg }, { status: code });
}
