/** What must be so before anything is started; each failure is one sentence. */

/** The first Deno with everything that the development tools use. */
const OLDEST_DENO = [2, 9] as const;

/** @param version such as `2.9.6` */
export function requireDeno(version: string): void {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const [oldestMajor, oldestMinor] = OLDEST_DENO;
  if (major > oldestMajor || (major === oldestMajor && minor >= oldestMinor)) return;
  throw new Error(
    `This needs Deno ${OLDEST_DENO.join(".")} or newer and runs on ${version}: ` +
      "use npx -y deno@2.9.6 task dev.",
  );
}

/** Checked by connecting, because macOS lets a second server bind a port that another one has on `*`. */
export async function requireFreePort(port: number): Promise<void> {
  if (port === 0) return;
  try {
    using _ = await Deno.connect({ hostname: "127.0.0.1", port });
  } catch (error) {
    if (error instanceof Deno.errors.ConnectionRefused) return;
    throw error;
  }
  throw new Error(
    `Port ${port} is taken by another program: stop it, or choose another port with --port N ` +
      "(--port 0 takes any free one).",
  );
}
