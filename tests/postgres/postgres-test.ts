/** Tests that need an installed Postgres: said once when it is missing, and never skipped in CI. */
import { findPostgres, INSTALL_POSTGRES } from "../../dev/stack/postgres/mod.ts";

const installed = await findPostgres() !== null;
const inCi = Deno.env.get("CI") === "true";
if (!installed && !inCi) {
  // deno-lint-ignore no-console -- the developer has to know what was not tested
  console.warn(`Tests on a real Postgres are ignored. ${INSTALL_POSTGRES}`);
}

/** Like `Deno.test`; ignored without Postgres, except in CI (`CI=true`), where it fails. */
export function postgresTest(
  name: string,
  test: (context: Deno.TestContext) => Promise<void>,
): void {
  Deno.test({
    name,
    ignore: !installed && !inCi,
    fn: (context) => installed ? test(context) : Promise.reject(new Error(INSTALL_POSTGRES)),
  });
}

/**
 * Polls until `condition` holds.
 *
 * @throws Error that says what was waited for, after `timeoutMs`
 */
export async function eventually(
  what: string,
  condition: () => boolean | Promise<boolean>,
  timeoutMs = 30_000,
): Promise<void> {
  const until = Date.now() + timeoutMs;
  while (!await condition()) {
    if (Date.now() > until) throw new Error(`${what}: not within ${timeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
