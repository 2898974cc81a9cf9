/** A webhook for tests of alerts: a real server that answers when and what the test decides. */
import { until } from "./until.ts";

/** Part of the address, as Slack's are; anyone who knows it can post. */
const SECRET_PATH = "/services/T0CANARY/B0CANARY/hook-canary-4cL2mZp9Qw";

export interface Delivery {
  /** As it was sent. */
  raw: string;
  text: string;
  headers: Headers;
}

export class Webhook implements AsyncDisposable {
  /** Every message that arrived, in order, refused ones included. */
  readonly deliveries: Delivery[] = [];
  private status = 200;
  private held: PromiseWithResolvers<void> | undefined;

  private constructor(private readonly server: Deno.HttpServer<Deno.NetAddr>) {}

  static start(): Webhook {
    const server: Deno.HttpServer<Deno.NetAddr> = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      (request) => webhook.receive(request),
    );
    const webhook: Webhook = new Webhook(server);
    return webhook;
  }

  get url(): string {
    // By name, so that searches for parts of the address do not match every local address.
    return `http://localhost:${this.server.addr.port}${SECRET_PATH}`;
  }

  get texts(): string[] {
    return this.deliveries.map(({ text }) => text);
  }

  /** Answers with this status from now on. */
  answerWith(status: number): void {
    this.status = status;
  }

  /** Holds messages back unanswered; the returned function answers all of them. */
  hold(): () => void {
    const held = Promise.withResolvers<void>();
    this.held = held;
    return () => {
      this.held = undefined;
      held.resolve();
    };
  }

  /** Resolves with the message once `count` have arrived. */
  async nth(count: number): Promise<Delivery> {
    return await until(`message ${count} has arrived`, () => this.deliveries[count - 1]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.held?.resolve();
    await this.server.shutdown();
  }

  private async receive(request: Request): Promise<Response> {
    const raw = await request.text();
    const known = request.method === "POST" && new URL(request.url).pathname === SECRET_PATH;
    if (!known) return new Response("no such webhook", { status: 404 });
    this.deliveries.push({ raw, text: JSON.parse(raw).text, headers: request.headers });
    await this.held?.promise;
    return new Response("ok", { status: this.status });
  }
}
