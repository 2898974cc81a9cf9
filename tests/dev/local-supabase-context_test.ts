/** What a statement in the local Supabase can read of the request that it serves. */
import assert from "node:assert/strict";
import { startSupabase } from "../../dev/stack/supabase/mod.ts";
import { migrationsDirectory } from "../support/local-supabase.ts";

const CONTEXT_MIGRATION = `
create function public.context() returns jsonb language sql stable as $$
  select jsonb_build_object(
    'role', current_user,
    'uid', auth.uid(),
    'claims', current_setting('request.jwt.claims')::jsonb - array['iat', 'exp'],
    'method', current_setting('request.method'),
    'path', current_setting('request.path'),
    'header', current_setting('request.headers')::jsonb ->> 'x-of-the-caller'
  )
$$;
create function public.teapot() returns text language sql as $$
  select set_config('response.status', '418', true)
$$;
`;

Deno.test("a request's context is there for its statements, and for no others", async () => {
  await using migrations = await migrationsDirectory({ "1_context.sql": CONTEXT_MIGRATION });
  const supabase = await startSupabase({ migrationsDir: migrations.url });
  try {
    const { id, accessToken } = await supabase.createUser();
    const call = (name: string, headers: Record<string, string>) =>
      supabase.fetch(`${supabase.url}/rest/v1/rpc/${name}`, {
        method: "POST",
        headers: { apikey: supabase.publishableKey, ...headers },
      });
    const ofUser = { authorization: `Bearer ${accessToken}`, "x-of-the-caller": 'it\'s "quoted"' };

    const { claims, ...context } = await (await call("context", ofUser)).json();
    assert.deepEqual(context, {
      role: "authenticated",
      uid: id,
      method: "POST",
      path: "/rpc/context",
      header: 'it\'s "quoted"',
    });
    assert.deepEqual([claims.sub, claims.role], [id, "authenticated"]);
    assert.equal((await call("teapot", ofUser)).status, 418);

    const outside = await supabase.sql(`select current_user::text as role,
      current_setting('request.headers', true) as headers,
      current_setting('request.jwt.claim.sub', true) as sub`);
    assert.deepEqual(outside, [{ role: "postgres", headers: "", sub: "" }]);

    const anyone = await (await call("context", {})).json();
    assert.deepEqual([anyone.role, anyone.uid, anyone.header], ["anon", null, null]);
  } finally {
    await supabase.close();
  }
});
