/** What every benchmarked server is started with, and the users who call it. */
import {
  generateSigningKey,
  mintUserToken,
  type SigningKey,
} from "../../dev/stack/supabase/mod.ts";
import { ServerProcess } from "./server-process.ts";

export interface Upstreams extends AsyncDisposable {
  url: string;
  process: ServerProcess;
  /** Access tokens of users, signed with the project's own key. */
  tokens: string[];
  /** The number of calls by kind since the last time that this was called. */
  counts(): Promise<Record<string, number>>;
  /** The environment of a function that talks to these upstreams. */
  env: Record<string, string>;
}

export interface UpstreamOptions {
  databaseMs: number;
  flyMs: number;
  users?: number;
  processor?: number | undefined;
}

export async function startUpstreams(options: UpstreamOptions): Promise<Upstreams> {
  const key = await generateSigningKey();
  const process = await ServerProcess.start({
    entry: new URL("./upstreams.ts", import.meta.url),
    processor: options.processor,
    env: {
      JWK: JSON.stringify(key.publicJwk),
      DATABASE_MS: String(options.databaseMs),
      FLY_MS: String(options.flyMs),
    },
  });
  return {
    url: process.url,
    process,
    tokens: await mintTokens(key, options.users ?? 50),
    counts: async () => await (await fetch(`${process.url}/_counts`)).json(),
    env: {
      SUPABASE_URL: process.url,
      SUPABASE_SECRET_KEYS: JSON.stringify({
        default: "sb_secret_benchmark0000000000000000_00000000",
      }),
      FLY_API_TOKEN: "fo1_benchmark000000000000000000000000000000",
      FLY_API_HOSTNAME: process.url,
      FLY_APP_NAME: "bench-app",
      DOCKER_IMAGE: "registry.fly.io/bench-app:latest",
    },
    [Symbol.asyncDispose]: () => process.stop(),
  };
}

function mintTokens(key: SigningKey, users: number): Promise<string[]> {
  return Promise.all(Array.from({ length: users }, () =>
    mintUserToken({
      userId: crypto.randomUUID(),
      key,
      email: "user@example.com",
      issuer: "https://abcdefghijklmnopqrst.supabase.co/auth/v1",
      // What Supabase Auth puts into a token besides; verification has to read all of it.
      claims: {
        phone: "",
        app_metadata: { provider: "email", providers: ["email"] },
        user_metadata: { email_verified: true },
        aal: "aal1",
        amr: [{ method: "password", timestamp: 1_767_225_600 }],
        session_id: crypto.randomUUID(),
        is_anonymous: false,
      },
    })));
}
