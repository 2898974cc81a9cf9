/**
 * A second installation, with a database of its own, in the same organisation, with the same app and
 * token at Fly.io, and under the same host name, as every local stack has it. Its reconcile must leave
 * the first one's machines alone.
 */
import { generateSigningKey } from "../../dev/stack/supabase/mod.ts";
import { type FlySimulator, seededRandom } from "../../dev/stack/fly/mod.ts";
import type { VirtualClock } from "../../dev/stack/clock.ts";
import { ModelDatabase } from "./model-database.ts";
import type { ScheduleSettings } from "./schedule.ts";
import { environmentOf } from "./settings.ts";
import { WEBHOOK_URL } from "./upstreams.ts";
import { CONNECTION_LOST, SimulatedIsolate } from "./simulated-isolate.ts";

const TAG = "decade";
/** Its lines are not those of the installation that is tested. */
const REQUEST_ID = "other-installation";

export interface OtherRun {
  settings: ScheduleSettings;
  /** Of the first installation: the function's environment, and its secret key. */
  env: Record<string, string>;
  firstKey: string;
  time: VirtualClock;
  simulator: FlySimulator;
}

export class OtherInstallation implements AsyncDisposable {
  private constructor(private readonly database: ModelDatabase) {}

  static async open(): Promise<OtherInstallation> {
    return new OtherInstallation(await ModelDatabase.start(await generateSigningKey()));
  }

  /** Whether the local stack is at work, and may print. */
  get performing(): boolean {
    return this.database.performing;
  }

  /** Whether its function printed this line. */
  static printed(line: string): boolean {
    return line.includes(REQUEST_ID);
  }

  /** Forgets what it has seen so far. */
  async reset(): Promise<void> {
    await this.database.reset([]);
    await this.database.stack.sql("update public.installation set tag = $1", [TAG]);
  }

  /** One run, without faults. Throws when it is not answered 200. */
  async reconcile({ settings, env, firstKey, time, simulator }: OtherRun): Promise<void> {
    const { url, secretKey } = this.database.stack;
    const isolate = new SimulatedIsolate({
      name: "other installation",
      env: {
        ...env,
        SUPABASE_URL: url,
        // LogTape belongs to the process and redacts for both, so it has to know the secrets of both.
        SUPABASE_SECRET_KEYS: JSON.stringify({ default: secretKey, first: firstKey }),
        ...environmentOf({ ...settings, pool: "none" }),
      },
      time,
      random: seededRandom(1),
      carry: async (_isolate, request) => {
        if (request.url === WEBHOOK_URL) return new Response("ok");
        const response = new URL(request.url).origin === new URL(url).origin
          ? await time.track(this.#askDatabase(request, time))
          : await simulator.fetch(request);
        const body = await response.arrayBuffer();
        return new Response(body.byteLength === 0 ? null : body, response);
      },
    });
    const response = await isolate.fetch(
      new Request("http://localhost/provision-machine/reconcile", {
        method: "POST",
        headers: { apikey: secretKey, "x-request-id": REQUEST_ID },
      }),
    );
    if (response === CONNECTION_LOST || response.status !== 200) {
      const said = response === CONNECTION_LOST ? "nothing" : await response.text();
      throw new Error(`the other installation's reconcile answered ${said}`);
    }
  }

  async #askDatabase(request: Request, time: VirtualClock): Promise<Response> {
    const response = await this.database.perform(request, time);
    const text = await response.text();
    return new Response(text === "" ? null : text, response);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.database.stack.close();
  }
}
