/** The local Supabase: Auth, Data API, keys and roles. */
import assert from "node:assert/strict";
import { createClient } from "@supabase/supabase-js";
import { decodeJwt } from "jose";
import { generateSigningKey, mintUserToken, startSupabase } from "../../dev/stack/supabase/mod.ts";
import { migrationsDirectory } from "../support/local-supabase.ts";

const CLIENT_OPTIONS = {
  auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false },
};

Deno.test("local Supabase: Auth and Data API behave as when hosted", async (t) => {
  await using migrations = await migrationsDirectory();
  const signingKey = await generateSigningKey();
  const supabase = await startSupabase({
    migrationsDir: migrations.url,
    signingKeys: [signingKey.publicJwk],
  });
  try {
    await t.step("supabase-js signs up, signs in and reads its user over HTTP", async () => {
      const { auth } = createClient(supabase.url, supabase.publishableKey, CLIENT_OPTIONS);
      const credentials = { email: "ada@example.com", password: "correct horse battery" };
      const signUp = await auth.signUp(credentials);
      assert.equal(signUp.error, null);
      await auth.signOut();
      assert.equal((await auth.getUser()).data.user, null);
      const wrong = await auth.signInWithPassword({ ...credentials, password: "wrong" });
      assert.equal(wrong.error?.code, "invalid_credentials");
      const signIn = await auth.signInWithPassword(credentials);
      assert.equal(signIn.data.user?.id, signUp.data.user?.id);
      assert.equal((await auth.getUser()).data.user?.email, credentials.email);
      const claims = (await auth.getClaims()).data?.claims;
      assert.equal(claims?.sub, signUp.data.user?.id);
      assert.equal(claims?.role, "authenticated");
    });

    await t.step("row level security shows each user their own rows, a service all", async () => {
      const [ada, bob] = [await supabase.createUser(), await supabase.createUser()];
      for (const { id, client } of [ada, bob]) {
        const { error } = await client.from("notes").insert({ owner: id, body: id.slice(0, 8) });
        assert.equal(error, null);
      }
      const ofAda = await ada.client.from("notes").select("owner");
      assert.deepEqual(ofAda.data, [{ owner: ada.id }]);
      const all = await supabase.serviceClient().from("notes").select("owner");
      assert.deepEqual(new Set(all.data?.map(({ owner }) => owner)), new Set([ada.id, bob.id]));
      const foreign = await ada.client.from("notes").insert({ owner: bob.id, body: "forged" });
      assert.equal(foreign.status, 403);
      const anonymous = await supabase.anonClient().from("notes").select();
      assert.equal(anonymous.status, 401);
      assert.equal(anonymous.error?.code, "42501");
    });

    await t.step("a REVOKE of a migration holds where a policy would allow", async () => {
      const { id, client } = await supabase.createUser();
      await supabase.sql("insert into public.notes (owner, body) values ($1, 'mine')", [id]);
      const { error, status } = await client.from("notes").update({ body: "new" }).eq("owner", id);
      assert.deepEqual([status, error?.code], [403, "42501"]);
      assert.match(error?.message ?? "", /permission denied for table notes/);
      assert.equal((await client.rpc("add_note", { body: "x" })).error?.code, "42501");
      const [row] = await supabase.sql("select body from public.notes where owner = $1", [id]);
      assert.deepEqual(row, { body: "mine" });
    });

    await t.step("new and legacy keys carry their role, other keys none", async () => {
      const addNote = (headers: Record<string, string>) =>
        fetch(`${supabase.url}/rest/v1/rpc/add_note`, {
          method: "POST",
          headers: { "content-type": "application/json", ...headers },
          body: JSON.stringify({ body: "by key" }),
        }).then(async (response) => {
          await response.body?.cancel();
          return response.status;
        });
      const { secretKey, serviceRoleKey, publishableKey, anonKey } = supabase;
      assert.match(secretKey, /^sb_secret_/);
      assert.match(publishableKey, /^sb_publishable_/);
      assert.equal(decodeJwt(serviceRoleKey).role, "service_role");
      const bearer = (key: string) => ({ authorization: `Bearer ${key}` });
      assert.equal(await addNote({ apikey: secretKey }), 200);
      assert.equal(await addNote({ apikey: secretKey, ...bearer(secretKey) }), 200);
      assert.equal(await addNote({ apikey: serviceRoleKey, ...bearer(serviceRoleKey) }), 200);
      assert.equal(await addNote({ apikey: anonKey, ...bearer(serviceRoleKey) }), 200);
      assert.equal(await addNote({ apikey: publishableKey }), 401);
      assert.equal(await addNote({ apikey: anonKey, ...bearer(anonKey) }), 401);
      assert.equal(await addNote({ apikey: "sb_secret_guessed" }), 401);
      assert.equal(await addNote(bearer(serviceRoleKey)), 401);
      assert.equal(await addNote({}), 401);
    });

    await t.step("getClaims verifies ES256 tokens with the served keys, no request", async () => {
      const { id } = await supabase.createUser();
      const token = await mintUserToken({ userId: id, key: signingKey });
      const { auth } = createClient(supabase.url, supabase.publishableKey, CLIENT_OPTIONS);
      supabase.clearRequests();
      const { data, error } = await auth.getClaims(token);
      assert.equal(error, null);
      assert.equal(data?.claims.sub, id);
      assert.equal(data?.header.kid, signingKey.kid);
      assert.deepEqual(
        supabase.requests().map(({ path }) => path),
        ["/auth/v1/.well-known/jwks.json"],
      );
      const other = await mintUserToken({ userId: id, key: await generateSigningKey() });
      assert.notEqual((await auth.getClaims(other)).error, null);
    });

    await t.step("minted tokens are the user; expired and foreign ones are refused", async () => {
      const { id } = await supabase.createUser();
      await supabase.sql("insert into public.notes (owner, body) values ($1, 'mine')", [id]);
      const read = async (token: string) => {
        const response = await supabase.fetch(`${supabase.url}/rest/v1/notes?select=owner`, {
          headers: { apikey: supabase.publishableKey, authorization: `Bearer ${token}` },
        });
        return [response.status, await response.json()];
      };
      const own = [200, [{ owner: id }]];
      const { jwtSecret } = supabase;
      assert.deepEqual(await read(await mintUserToken({ userId: id, key: jwtSecret })), own);
      assert.deepEqual(await read(await mintUserToken({ userId: id, key: signingKey })), own);
      for (const key of [jwtSecret, signingKey]) {
        const [status, body] = await read(
          await mintUserToken({ userId: id, key, expiresInSeconds: -60 }),
        );
        assert.deepEqual([status, body.message], [401, "JWT expired"]);
      }
      for (const key of ["another secret", await generateSigningKey()]) {
        const [status, body] = await read(await mintUserToken({ userId: id, key }));
        assert.deepEqual([status, body.code], [401, "PGRST301"]);
      }
      assert.equal((await read("no token"))[0], 401);
    });

    await t.step("database errors have PostgREST's status, code, details and hint", async () => {
      const service = supabase.serviceClient();
      const tooLong = await service.rpc("add_note", { body: "much too long" });
      assert.deepEqual([tooLong.status, tooLong.error?.code], [400, "23514"]);
      assert.match(tooLong.error?.message ?? "", /violates check constraint "body_is_short"/);
      assert.match(tooLong.error?.details ?? "", /^Failing row contains/);
      const refused = await service.rpc("add_note", { body: "refuse" });
      assert.deepEqual([refused.status, refused.error?.code], [400, "P0001"]);
      assert.deepEqual(
        [refused.error?.message, refused.error?.hint],
        ["refused", "say something else"],
      );
      assert.equal((await service.rpc("no_such_function")).status, 404);
    });

    await t.step("requests at once keep their transactions and roles apart", async () => {
      await supabase.sql("delete from public.notes");
      const service = supabase.serviceClient();
      const { client } = await supabase.createUser();
      const answers = await Promise.all(Array.from({ length: 30 }, (_, index) => {
        if (index % 3 === 0) return service.rpc("add_note", { body: "refuse" });
        return (index % 3 === 1 ? service : client).rpc("add_note", { body: `n${index}` });
      }));
      assert.deepEqual(
        answers.map(({ status }) => status),
        Array.from({ length: 30 }, (_, index) => [400, 200, 403][index % 3]),
      );
      const [row] = await supabase.sql("select count(*)::int as n from public.notes");
      assert.deepEqual(row, { n: 10 });
    });

    await t.step("deleting a user keeps what refers to them with `set null`", async () => {
      const { id } = await supabase.createUser();
      await supabase.sql("delete from public.notes");
      await supabase.sql("insert into public.notes (owner, body) values ($1, 'kept')", [id]);
      await supabase.sql("delete from auth.users where id = $1", [id]);
      assert.deepEqual(await supabase.sql("select owner, body from public.notes"), [
        { owner: null, body: "kept" },
      ]);
    });

    await t.step("a table made later is exposed at once", async () => {
      await supabase.sql("create table public.later (id int)");
      assert.equal((await supabase.serviceClient().from("later").insert({ id: 1 })).error, null);
      await supabase.sql("drop table public.later");
      assert.equal((await supabase.serviceClient().from("later").select()).status, 404);
    });
  } finally {
    await supabase.close();
  }
});

Deno.test("local Supabase: without default privileges a migration must grant", async () => {
  await using migrations = await migrationsDirectory({
    "1_tables.sql":
      "create table public.open (id int); create table public.closed (id int); grant select on public.open to service_role;",
  });
  const supabase = await startSupabase({ migrationsDir: migrations.url, exposeNewTables: false });
  try {
    const service = supabase.serviceClient();
    assert.equal((await service.from("open").select()).status, 200);
    assert.equal((await service.from("closed").select()).error?.code, "42501");
  } finally {
    await supabase.close();
  }
});

Deno.test("local Supabase: keys are new for every start and private ones are refused", async () => {
  await using migrations = await migrationsDirectory({});
  const start = () => startSupabase({ migrationsDir: migrations.url });
  const [one, two] = await Promise.all([start(), start()]);
  await Promise.all([one.close(), two.close()]);
  for (
    const key of ["publishableKey", "secretKey", "anonKey", "serviceRoleKey", "jwtSecret"] as const
  ) {
    assert.notEqual(one[key], two[key], key);
  }
  const { publicJwk } = await generateSigningKey();
  await assert.rejects(
    startSupabase({ migrationsDir: migrations.url, signingKeys: [{ ...publicJwk, d: "secret" }] }),
    /signingKeys must be public/,
  );
});
