/** A simulator that remembers the bodies of create calls. */
import { FlySimulator } from "../../dev/stack/fly/mod.ts";

/** A simulator that also keeps what each create call asked for. */
export class RecordingFlySimulator extends FlySimulator {
  /** Parsed bodies of the create calls, in order. */
  readonly createBodies: Record<string, unknown>[] = [];

  override handle(request: Request): ReturnType<FlySimulator["handle"]> {
    const creates = request.method === "POST" &&
      /^\/v1\/apps\/[^/]+\/machines$/.test(new URL(request.url).pathname);
    const copy = creates ? request.clone() : undefined;
    const delivery = super.handle(request);
    // The copy is read to its end before the call is answered, since both come from one body.
    copy?.json().then((body) => this.createBodies.push(body));
    return delivery;
  }

  /** What was asked for under this name. */
  createBodiesOf(machineId: string): Record<string, unknown>[] {
    return this.createBodies.filter(({ name }) => name === machineId);
  }
}
