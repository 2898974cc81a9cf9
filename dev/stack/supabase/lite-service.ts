/**
 * `/auth/v1` and `/rest/v1`: @supabase/lite, with what hosted Supabase does and lite does not.
 */
import { App, type ResolvedKey } from "@supabase/lite";
import { type JWK, SignJWT } from "jose";
import { answerAdmin } from "./auth-admin.ts";
import type { StackDatabase } from "./database.ts";
import type { StackKeys } from "./keys.ts";
import { ConnectionReset } from "./listen.ts";
import { verifyToken } from "./tokens.ts";

/** Auth and Data API of one stack. */
export class LiteService {
  readonly #app: App;
  readonly #database: StackDatabase;
  readonly #keys: StackKeys;
  readonly #signingKeys: JWK[];
  readonly #roleOfKey: Map<string, ResolvedKey>;

  /** @param signingKeys public JWKs whose tokens are accepted besides the stack's own */
  constructor(database: StackDatabase, keys: StackKeys, signingKeys: JWK[]) {
    hashPasswordsQuickly();
    this.#database = database;
    this.#keys = keys;
    this.#signingKeys = signingKeys;
    const anon: ResolvedKey = { type: "publishable", claims: { role: "anon" } };
    const service: ResolvedKey = { type: "secret", claims: { role: "service_role" } };
    this.#roleOfKey = new Map([
      [keys.publishableKey, anon],
      [keys.anonKey, anon],
      [keys.secretKey, service],
      [keys.serviceRoleKey, service],
    ]);
    this.#app = new App({
      connection: database.connection,
      auth: { enabled: true, jwt_secret: keys.jwtSecret },
      options: {
        server: {
          disableStudio: true,
          apiKeys: { resolver: (key) => Promise.resolve(this.#roleOfKey.get(key) ?? null) },
        },
      },
    });
  }

  /** Makes the schemas `auth` and `supabase_migrations`. */
  async ensureSchema(): Promise<void> {
    await this.#database.exclusive(() => this.#app.ensureSystemSchema());
  }

  /** @param request its path starts with `/auth/v1/` or `/rest/v1/` */
  async handle(request: Request, peerAddress: string | null): Promise<Response> {
    if (request.method === "OPTIONS") return preflight(request);
    const { pathname } = new URL(request.url);
    if (pathname === "/auth/v1/.well-known/jwks.json") {
      return withCors(Response.json({ keys: this.#signingKeys }), pathname);
    }
    const headers = new Headers(request.headers);
    const asAdmin = await answerAdmin(request, {
      database: this.#database,
      isService: this.#roleOfKey.get(headers.get("apikey") ?? "")?.type === "secret",
      signUp: (credentials) => this.#signUp(request, credentials, peerAddress),
    });
    if (asAdmin !== null) return withCors(asAdmin, pathname);
    const refusal = await this.#adaptCredentials(headers);
    if (refusal !== null) return withCors(refusal, pathname);
    // Read before the database is taken, so that a slow sender blocks no other request.
    const body = request.body === null ? null : await request.arrayBuffer();
    const adapted = new Request(request.url, { method: request.method, headers, body });
    const response = await this.#database.exclusive(() => {
      // Callers who ask again would queue behind what they gave up, and give up again. PostgREST
      // does not keep them for long either (db-pool-acquisition-timeout).
      if (request.signal.aborted) throw new ConnectionReset("the caller hung up before its turn");
      return this.#app.fetch(adapted, { peerAddress });
    });
    return withCors(response, pathname);
  }

  #signUp(near: Request, credentials: object, peerAddress: string | null): Promise<Response> {
    const request = new Request(new URL("/auth/v1/signup", near.url), {
      method: "POST",
      headers: { apikey: this.#keys.publishableKey, "content-type": "application/json" },
      body: JSON.stringify(credentials),
    });
    return this.#database.exclusive(() => this.#app.fetch(request, { peerAddress }));
  }

  /**
   * Turns credentials that hosted Supabase takes and lite does not into ones that lite takes: a
   * legacy key as Bearer, a token signed with one of `signingKeys`. A token that does not verify is
   * refused here, for lite would go on as `anon`.
   */
  async #adaptCredentials(headers: Headers): Promise<Response | null> {
    const bearer = /^Bearer\s+(.+)$/i.exec(headers.get("authorization") ?? "")?.[1];
    const apiKey = headers.get("apikey");
    if (bearer === undefined || bearer === apiKey || bearer.startsWith("sb_")) return null;
    if (this.#roleOfKey.has(bearer)) {
      if (apiKey !== null && this.#roleOfKey.has(apiKey)) headers.set("apikey", bearer);
      return null;
    }
    try {
      const { claims, isOwn } = await verifyToken(bearer, this.#keys.jwtSecret, this.#signingKeys);
      if (!isOwn) {
        const secret = new TextEncoder().encode(this.#keys.jwtSecret);
        const token = await new SignJWT(claims).setProtectedHeader({ alg: "HS256" }).sign(secret);
        headers.set("authorization", `Bearer ${token}`);
      }
      return null;
    } catch (error) {
      return invalidToken(error);
    }
  }
}

/**
 * bcrypt's least cost: a local stack's passwords guard nothing, and in JavaScript the usual cost takes
 * 0.1 s of processor time for each user that signs up. lite reads it from the environment only.
 */
function hashPasswordsQuickly(): void {
  if (Deno.env.get(BCRYPT_COST) === undefined) Deno.env.set(BCRYPT_COST, "4");
}

const BCRYPT_COST = "LITE_AUTH_BCRYPT_COST";

/** As PostgREST words it, https://docs.postgrest.org/en/stable/references/errors.html#group-3-jwt */
function invalidToken(error: unknown): Response {
  const expired = error instanceof Error && "code" in error && error.code === "ERR_JWT_EXPIRED";
  const message = expired
    ? "JWT expired"
    : error instanceof Error
    ? error.message
    : "JWT cannot be decoded";
  return Response.json(
    { code: expired ? "PGRST303" : "PGRST301", details: null, hint: null, message },
    { status: 401, headers: { "www-authenticate": `Bearer error="invalid_token"` } },
  );
}

/** Any origin may call, with any header: keys and tokens protect these services, not origins. */
function preflight(request: Request): Response {
  return new Response(null, {
    status: 204,
    headers: {
      "access-control-allow-origin": "*",
      "access-control-allow-methods": "GET, HEAD, PUT, PATCH, POST, DELETE, OPTIONS",
      "access-control-allow-headers": request.headers.get("access-control-request-headers") ?? "*",
      "access-control-max-age": "3600",
      vary: "Access-Control-Request-Headers",
    },
  });
}

const EXPOSED_BY_AUTH = "X-Total-Count, Link, X-Supabase-Api-Version";
const EXPOSED_BY_REST = "Content-Encoding, Content-Location, Content-Range, Content-Type, Date, " +
  "Location, Server, Transfer-Encoding, Range-Unit";

function withCors(response: Response, pathname: string): Response {
  const headers = new Headers(response.headers);
  headers.set("access-control-allow-origin", "*");
  headers.set(
    "access-control-expose-headers",
    pathname.startsWith("/auth/") ? EXPOSED_BY_AUTH : EXPOSED_BY_REST,
  );
  return new Response(response.body, {
    status: response.status,
    statusText: response.statusText,
    headers,
  });
}
