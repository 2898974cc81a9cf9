/**
 * A throw-away real Postgres from the programs that are installed on this machine.
 *
 * ```ts
 * await using postgres = await startPostgres();
 * const supabase = await startSupabase({ databaseUrl: postgres.url });
 * await postgres.restart("immediate");
 * ```
 */
import { findPostgres, INSTALL_POSTGRES, serverUser, type SystemUser } from "./binaries.ts";

export { findPostgres, INSTALL_POSTGRES } from "./binaries.ts";

/**
 * `smart` waits until every client has left, `fast` ends their transactions, `immediate` is a
 * crash: nothing is put in order, the next start recovers.
 * https://www.postgresql.org/docs/current/server-shutdown.html
 */
export type StopMode = "smart" | "fast" | "immediate";

/** Input of {@link startPostgres}. */
export interface StartPostgresOptions {
  /** Directory of initdb, pg_ctl and postgres. Default: what {@link findPostgres} finds. */
  binaries?: string;
  /** Default `postgres`. */
  superuser?: string;
  /** Settings for `postgresql.conf`, over the fast ones. */
  settings?: Record<string, string | number | boolean>;
}

/** A server of our own; everything of it is in one temporary directory. */
export interface PostgresServer extends AsyncDisposable {
  /** Connection string of the superuser; the same after every start. */
  url: string;
  port: number;
  /** Default `fast`. Does nothing when it is stopped. */
  stop(mode?: StopMode): Promise<void>;
  /** Does nothing when it runs. Resolves once it takes connections. */
  start(): Promise<void>;
  restart(mode?: StopMode): Promise<void>;
  /** What the server wrote to its log. */
  log(): Promise<string>;
  /** Stops it and removes its directory. */
  dispose(): Promise<void>;
}

/**
 * No write waits for the disk: what a crash of the server could lose is kept by the operating
 * system, and a crash of the machine ends the test as well.
 */
const FAST_SETTINGS = {
  fsync: false,
  full_page_writes: false,
  listen_addresses: "127.0.0.1",
  unix_socket_directories: "",
  max_connections: 200,
  shared_buffers: "64MB",
  autovacuum_naptime: "10s",
};
const START_TIMEOUT_SECONDS = 60;
const PORT_ATTEMPTS = 5;

/**
 * Makes a database cluster and starts a server on a free port of 127.0.0.1.
 *
 * @throws Error that says what to install when there is no Postgres, or with the output of the
 *   program that failed; nothing is left behind then
 */
export async function startPostgres(options: StartPostgresOptions = {}): Promise<PostgresServer> {
  const binaries = options.binaries ?? await findPostgres();
  if (binaries === null) throw new Error(INSTALL_POSTGRES);
  const user = await serverUser();
  const directory = await Deno.makeTempDir({ prefix: "postgres-" });
  if (user !== null) await Deno.chown(directory, user.uid, user.gid);
  const server = new Server(binaries, user, directory, options.superuser ?? "postgres");
  try {
    await server.initialise({ ...FAST_SETTINGS, ...options.settings });
    await server.startOnFreePort();
  } catch (error) {
    await server.dispose();
    throw error;
  }
  return server;
}

class Server implements PostgresServer {
  port = 0;
  readonly #data: string;
  readonly #logFile: string;
  #running = false;
  #watchdog: Deno.ChildProcess | undefined;

  constructor(
    private readonly binaries: string,
    private readonly user: SystemUser | null,
    private readonly directory: string,
    private readonly superuser: string,
  ) {
    this.#data = `${directory}/data`;
    this.#logFile = `${directory}/log`;
  }

  get url(): string {
    return `postgres://${this.superuser}@127.0.0.1:${this.port}/postgres`;
  }

  async initialise(settings: Record<string, string | number | boolean>): Promise<void> {
    await this.#run("initdb", [
      `--pgdata=${this.#data}`,
      `--username=${this.superuser}`,
      "--auth=trust",
      "--encoding=UTF8",
      "--locale=C",
      "--no-sync",
    ]);
    const lines = Object.entries(settings).map(([name, value]) => `${name} = '${value}'\n`);
    await Deno.writeTextFile(`${this.#data}/postgresql.conf`, lines.join(""), { append: true });
  }

  /** Another program may take the port between its choice and its use. */
  async startOnFreePort(): Promise<void> {
    for (let attempt = 1;; attempt++) {
      this.port = freePort();
      try {
        return await this.start();
      } catch (error) {
        if (attempt === PORT_ATTEMPTS || !/Address already in use/.test(await this.log())) {
          throw error;
        }
      }
    }
  }

  async start(): Promise<void> {
    if (this.#running) return;
    this.#watchdog ??= this.#watch();
    await this.#run("pg_ctl", [
      "start",
      `--pgdata=${this.#data}`,
      `--log=${this.#logFile}`,
      `--timeout=${START_TIMEOUT_SECONDS}`,
      "--wait",
      `--options=-p ${this.port}`,
    ]);
    this.#running = true;
  }

  async stop(mode: StopMode = "fast"): Promise<void> {
    if (!this.#running) return;
    await this.#run("pg_ctl", ["stop", `--pgdata=${this.#data}`, `--mode=${mode}`, "--wait"]);
    this.#running = false;
  }

  async restart(mode: StopMode = "fast"): Promise<void> {
    await this.stop(mode);
    await this.start();
  }

  async log(): Promise<string> {
    try {
      return await Deno.readTextFile(this.#logFile);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return "";
      throw error;
    }
  }

  async dispose(): Promise<void> {
    await this.stop("immediate");
    await this.#watchdog?.stdin.close();
    await this.#watchdog?.status;
    this.#watchdog = undefined;
    await Deno.remove(this.directory, { recursive: true }).catch((error) => {
      // The watchdog was faster.
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  /**
   * Ends the server and removes its directory when this process is gone, however it went: then the
   * pipe that is the watchdog's standard input ends.
   */
  #watch(): Deno.ChildProcess {
    // In the background, because Deno kills its own children when it ends with an error.
    const cleanUp = '"$1" stop --pgdata="$2/data" --mode=immediate; rm -rf "$2"';
    const script = `exec 3<&0; (cat <&3 >/dev/null; ${cleanUp}) & wait`;
    return new Deno.Command("setsid", {
      args: ["sh", "-c", script, "sh", `${this.binaries}/pg_ctl`, this.directory],
      ...this.#asUser(),
      stdin: "piped",
      stdout: "null",
      stderr: "null",
    }).spawn();
  }

  /** Root runs the programs as another user, because the server refuses to run as root. */
  #asUser(): Pick<Deno.CommandOptions, "uid" | "gid" | "cwd"> {
    return { cwd: this.directory, ...this.user };
  }

  async #run(program: string, args: string[]): Promise<void> {
    const { success, stdout, stderr } = await new Deno.Command(`${this.binaries}/${program}`, {
      args,
      ...this.#asUser(),
      env: { LC_ALL: "C" },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).output();
    if (success) return;
    const output = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes).trim());
    const log = (await this.log()).split("\n").slice(-20).join("\n");
    throw new Error(`${program} failed: ${[...output, log].filter(Boolean).join("\n")}`);
  }
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}
