/** The packed client in a folder of its own, and apps that install it from there. */
import { fileURLToPath, pathToFileURL } from "node:url";
import { packClient } from "../../client/build.ts";

const APPS = new URL("apps/", import.meta.url);
/** Of whatever npm has newer, this is what the tests were written for. */
export const SUPABASE_JS = "@supabase/supabase-js@2.119.1";

export class PackedClient implements AsyncDisposable {
  private constructor(readonly folder: URL, readonly tarball: string) {}

  static async make(): Promise<PackedClient> {
    const directory = await Deno.makeTempDir({ prefix: "packed-client-" });
    const folder = pathToFileURL(`${directory}/`);
    return new PackedClient(folder, await packClient(new URL("packed/", folder)));
  }

  /** What is in the tarball. */
  get contents(): URL {
    return new URL("packed/package/", this.folder);
  }

  /** Runs a command in a folder below. @returns what it printed. @throws Error with it, if it fails */
  async run(where: string, command: string, ...args: string[]): Promise<string> {
    const { success, stdout, stderr } = await new Deno.Command(command, {
      args,
      cwd: new URL(where, this.folder),
      env: {
        CI: "true",
        NO_COLOR: "1",
        NEXT_TELEMETRY_DISABLED: "1",
        npm_config_audit: "false",
        npm_config_fund: "false",
        npm_config_prefer_offline: "true",
        npm_config_update_notifier: "false",
      },
    }).output();
    const [printed = "", complaints = ""] = [stdout, stderr].map((bytes) =>
      new TextDecoder().decode(bytes)
    );
    if (success) return printed;
    throw new Error(`${command} ${args.join(" ")} failed:\n${printed}${complaints}`);
  }

  /** Adds the packed client and `packages` to an app, with all that the app itself needs. */
  async install(app: string, ...packages: string[]): Promise<void> {
    await this.run(`${app}/`, "npm", "install", this.tarball, ...packages);
  }

  /** Puts a file of `apps/` into an app. */
  async copy(name: string, to: string): Promise<void> {
    await Deno.copyFile(new URL(name, APPS), new URL(to, this.folder));
  }

  async write(to: string, text: string): Promise<void> {
    await Deno.writeTextFile(new URL(to, this.folder), text);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(fileURLToPath(this.folder), { recursive: true });
  }
}
