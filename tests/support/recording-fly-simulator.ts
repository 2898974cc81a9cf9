/** A simulator that remembers the bodies of create calls, and lets others be first. */
import { z } from "zod";
import { FlySimulator } from "../../dev/stack/fly/mod.ts";

/** The key in the body of a create call, if there is one. */
const WithConnectKey = z.object({
  config: z.object({ env: z.object({ CONNECT_KEY: z.string() }) }),
});

const AppCreate = z.object({ name: z.string() });

/** A simulator that also keeps what each create call asked for. */
export class RecordingFlySimulator extends FlySimulator {
  /** Called with each machine's `CONNECT_KEY` before Fly.io answers. */
  onConnectKey: (key: string) => void = () => {};
  /** Called with an app's name before it is made, while somebody else can still take it. */
  beforeAppCreate: ((name: string) => void) | undefined;
  /** Parsed bodies of the create calls, in order. */
  readonly createBodies: Record<string, unknown>[] = [];

  override handle(request: Request): ReturnType<FlySimulator["handle"]> {
    const { beforeAppCreate } = this;
    if (beforeAppCreate && request.method === "POST" && /\/v1\/apps$/.test(request.url)) {
      return this.#createApp(request, beforeAppCreate);
    }
    const creates = request.method === "POST" &&
      /^\/v1\/apps\/[^/]+\/machines$/.test(new URL(request.url).pathname);
    const copy = creates ? request.clone() : undefined;
    const delivery = super.handle(request);
    // The copy is read to its end before the call is answered, since both come from one body.
    copy?.json().then((body) => {
      this.createBodies.push(body);
      const { data } = WithConnectKey.safeParse(body);
      if (data !== undefined) this.onConnectKey(data.config.env.CONNECT_KEY);
    });
    return delivery;
  }

  async #createApp(request: Request, before: (name: string) => void) {
    const { name } = AppCreate.parse(await request.clone().json());
    before(name);
    return await super.handle(request);
  }

  /** What was asked for under this name. */
  createBodiesOf(machineId: string): Record<string, unknown>[] {
    return this.createBodies.filter(({ name }) => name === machineId);
  }
}
