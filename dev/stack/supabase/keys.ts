/**
 * Keys and tokens of the local stack, in the shapes that hosted Supabase uses
 * (https://supabase.com/docs/guides/api/api-keys,
 * https://supabase.com/docs/guides/auth/jwt-fields).
 */
import { generateApiKey } from "@supabase/lite";
import { exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT } from "jose";

/** What a client or an operator needs to talk to one stack. New for every start. */
export interface StackKeys {
  /** `sb_publishable_…`: role `anon`. */
  publishableKey: string;
  /** `sb_secret_…`: role `service_role`. */
  secretKey: string;
  /** Legacy JWT key (HS256, role `anon`). */
  anonKey: string;
  /** Legacy JWT key (HS256, role `service_role`). */
  serviceRoleKey: string;
  /** The secret that signs the stack's own HS256 tokens. */
  jwtSecret: string;
}

/** An ES256 key pair: `publicJwk` goes to `startSupabase({ signingKeys })`, the rest mints tokens. */
export interface SigningKey {
  kid: string;
  privateKey: CryptoKey;
  publicJwk: JWK;
}

/** Input of {@link mintUserToken}. */
export interface UserTokenOptions {
  userId: string;
  /** The stack's `jwtSecret` (HS256), or a key of {@link generateSigningKey} (ES256 with `kid`). */
  key: string | SigningKey;
  /** Lifetime from `now`; negative makes an expired token. Default 3600. */
  expiresInSeconds?: number;
  now?: Date;
  email?: string;
  role?: string;
  audience?: string;
  /** Hosted Supabase says `https://<ref>.supabase.co/auth/v1`. */
  issuer?: string;
  /** Further claims; they win over the ones above. */
  claims?: JWTPayload;
}

const TEN_YEARS_IN_SECONDS = 10 * 365 * 24 * 60 * 60;

/** Makes random keys for one stack. */
export async function generateStackKeys(now: Date = new Date()): Promise<StackKeys> {
  const jwtSecret = crypto.getRandomValues(new Uint8Array(32)).toBase64({ alphabet: "base64url" });
  const issuedAt = Math.floor(now.getTime() / 1000);
  const legacyKey = (role: string) =>
    new SignJWT({ iss: "supabase", ref: "local", role })
      .setProtectedHeader({ alg: "HS256", typ: "JWT" })
      .setIssuedAt(issuedAt)
      .setExpirationTime(issuedAt + TEN_YEARS_IN_SECONDS)
      .sign(new TextEncoder().encode(jwtSecret));
  return {
    publishableKey: (await generateApiKey("publishable")).key,
    secretKey: (await generateApiKey("secret")).key,
    anonKey: await legacyKey("anon"),
    serviceRoleKey: await legacyKey("service_role"),
    jwtSecret,
  };
}

/** Makes an ES256 signing key as new hosted projects have it (asymmetric JWT signing keys). */
export async function generateSigningKey(): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair("ES256", { extractable: true });
  const kid = crypto.randomUUID();
  return {
    kid,
    privateKey,
    publicJwk: {
      ...await exportJWK(publicKey),
      kid,
      alg: "ES256",
      use: "sig",
      key_ops: ["verify"],
    },
  };
}

/** Mints an access token for a user, with the claims that Supabase Auth puts into one. */
export function mintUserToken(options: UserTokenOptions): Promise<string> {
  const { userId, key, expiresInSeconds = 3600, now = new Date() } = options;
  const issuedAt = Math.floor(now.getTime() / 1000);
  const token = new SignJWT({
    sub: userId,
    aud: options.audience ?? "authenticated",
    role: options.role ?? "authenticated",
    ...(options.email === undefined ? {} : { email: options.email }),
    ...(options.issuer === undefined ? {} : { iss: options.issuer }),
    iat: issuedAt,
    exp: issuedAt + expiresInSeconds,
    ...options.claims,
  });
  return typeof key === "string"
    ? token.setProtectedHeader({ alg: "HS256", typ: "JWT" }).sign(new TextEncoder().encode(key))
    : token.setProtectedHeader({ alg: "ES256", typ: "JWT", kid: key.kid }).sign(key.privateKey);
}
