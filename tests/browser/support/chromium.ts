/** Finds and starts a real Chromium. */
import { type Browser, chromium } from "playwright-core";

const NAMES = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];
const MAC_OS = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome";

/** The message where there is none. */
export const NO_CHROMIUM =
  "No Chromium was found: install it (Debian: apt-get install chromium) or set CHROMIUM_PATH.";

/** Path of the browser; null when none is installed. Throws if `CHROMIUM_PATH` is not a file. */
export async function findChromium(env: Record<string, string>): Promise<string | null> {
  const configured = env["CHROMIUM_PATH"];
  if (configured) {
    if (await isFile(configured)) return configured;
    throw new Error(`CHROMIUM_PATH is ${configured}, which is not a file`);
  }
  const directories = (env["PATH"] ?? "").split(":").filter((directory) => directory !== "");
  for (const name of NAMES) {
    for (const directory of directories) {
      if (await isFile(`${directory}/${name}`)) return `${directory}/${name}`;
    }
  }
  return await isFile(MAC_OS) ? MAC_OS : null;
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) {
      return false;
    }
    throw error;
  }
}

/** Headless, with an empty profile, and without calls to the internet. */
export async function launchChromium(executablePath: string): Promise<Browser> {
  return await chromium.launch({
    executablePath,
    headless: true,
    args: [
      // Containers have no user namespaces to build the sandbox from; only our own pages are opened.
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--no-first-run",
    ],
  });
}
