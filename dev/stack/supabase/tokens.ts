/** Checks tokens as hosted Supabase does: its own, and those of the project's signing keys. */
import {
  createLocalJWKSet,
  decodeProtectedHeader,
  type JWK,
  type JWTPayload,
  jwtVerify,
} from "jose";

export interface VerifiedToken {
  claims: JWTPayload;
  /** Signed with the stack's secret, not with one of the signing keys. */
  isOwn: boolean;
}

/** @throws the reason of `jose`, if the token is not to be trusted */
export async function verifyToken(
  token: string,
  jwtSecret: string,
  signingKeys: JWK[],
): Promise<VerifiedToken> {
  if (decodeProtectedHeader(token).alg === "HS256") {
    const { payload } = await jwtVerify(token, new TextEncoder().encode(jwtSecret));
    return { claims: payload, isOwn: true };
  }
  const { payload } = await jwtVerify(token, createLocalJWKSet({ keys: signingKeys }));
  return { claims: payload, isOwn: false };
}
