/** A token of a hosted project names that project. */
import assert from "node:assert/strict";
import { generateSigningKey, mintUserToken } from "../../dev/stack/supabase/mod.ts";
import { readUserToken } from "../../supabase/functions/provision-machine/auth/token-claims.ts";

const URL = "https://abcdefghijklmnopqrst.supabase.co";

Deno.test("token claims: a hosted project takes its own tokens alone", async () => {
  const key = await generateSigningKey();
  const now = Date.now();
  const read = async (issuer: string | undefined, url: string) => {
    const userId = crypto.randomUUID();
    const token = await mintUserToken({ userId, key, ...(issuer === undefined ? {} : { issuer }) });
    return readUserToken(token, { url, now }).claims.iss;
  };
  assert.equal(await read(`${URL}/auth/v1`, URL), `${URL}/auth/v1`);
  for (const issuer of ["https://zyxwvutsrqponmlkjihg.supabase.co/auth/v1", URL, undefined]) {
    await assert.rejects(read(issuer, URL), { code: "unauthorized" }, issuer);
    assert.equal(await read(issuer, "http://kong:8000"), issuer);
  }
});

Deno.test("token claims: what the header asks to be understood is refused", () => {
  const token = (header: object) =>
    `${btoa(JSON.stringify(header)).replaceAll("=", "")}.${btoa("{}").replaceAll("=", "")}.AAAA`;
  for (const header of [{ alg: "ES256", crit: ["b64"] }, { alg: 5 }, { kid: "k" }, []]) {
    assert.throws(() => readUserToken(token(header), { url: URL, now: 0 }), {
      message: "The access token is malformed",
    });
  }
});
