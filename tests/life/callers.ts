/** The owners of machines, services, and the cron job: what they ask the function, and its answers. */
import type { VirtualClock } from "../../dev/stack/clock.ts";
import type { AnswerBody } from "../model/callers.ts";
import { type ModelWorld, userId } from "../model/model-world.ts";
import { CONNECTION_LOST, type SimulatedIsolate } from "../model/simulated-isolate.ts";
import type { Change } from "./life.ts";

export interface LifeAnswer {
  step: number;
  atMs: number;
  status: number;
  headers: Headers;
  text: string;
  body: AnswerBody & { message?: string };
}

/** One request to the function. */
export interface LifeRequest {
  requestId: string;
  kind: "provision" | "destroy" | "connect" | "reconcile" | Change;
  /** Null for reconcile. */
  life: number | null;
  key: string | null;
  async: boolean;
  byService: boolean;
  /** The machine that the path names. */
  machineId: string | null;
  step: number;
  atMs: number;
  /** Undefined until there is one; "lost" when the isolate ended. */
  answer: LifeAnswer | "lost" | undefined;
}

interface Sending {
  about: Pick<LifeRequest, "kind"> & Partial<LifeRequest>;
  method?: string;
  path: string;
  headers?: Record<string, string>;
  body?: string;
}

export class LifeCallers {
  readonly requests: LifeRequest[] = [];

  constructor(private readonly world: ModelWorld, private readonly time: VirtualClock) {}

  /** Whether every request has its answer. */
  get idle(): boolean {
    return this.requests.every(({ answer }) => answer !== undefined);
  }

  provision(
    isolate: SimulatedIsolate,
    life: number,
    { key, async, byService, region }: {
      key: number | null;
      async: boolean;
      byService: boolean;
      region: string;
    },
  ): LifeRequest {
    const idempotencyKey = key === null ? null : `key-${key}`;
    return this.#send(isolate, {
      about: { kind: "provision", life, key: idempotencyKey, async, byService },
      path: "",
      headers: {
        "content-type": "application/json",
        ...(idempotencyKey === null ? {} : { "idempotency-key": idempotencyKey }),
        ...(async ? { prefer: "respond-async" } : {}),
      },
      // The same body for every caller: another one with the same key would be refused.
      body: JSON.stringify({ userId: userId(life), region }),
    });
  }

  destroy(
    isolate: SimulatedIsolate,
    life: number,
    { machineId, byService }: { machineId: string; byService: boolean },
  ): LifeRequest {
    const about = { kind: "destroy", life, machineId, byService } as const;
    return this.#send(isolate, { about, method: "DELETE", path: `/${machineId}` });
  }

  ask(
    isolate: SimulatedIsolate,
    life: number,
    { what, machineId, byService }: {
      what: Change | "connect";
      machineId: string;
      byService: boolean;
    },
  ): LifeRequest {
    const about = { kind: what, life, machineId, byService };
    return this.#send(isolate, { about, path: `/${machineId}/${what}` });
  }

  reconcile(isolate: SimulatedIsolate): LifeRequest {
    return this.#send(isolate, { about: { kind: "reconcile" }, path: "/reconcile" });
  }

  #credentials({ life, byService }: LifeRequest): Record<string, string> {
    if (life === null || byService) return { apikey: this.world.database.stack.secretKey };
    return { authorization: `Bearer ${this.world.tokens[life]}` };
  }

  #send(
    isolate: SimulatedIsolate,
    { about, method = "POST", path, headers = {}, body }: Sending,
  ): LifeRequest {
    const sent: LifeRequest = {
      requestId: `request-${this.requests.length}`,
      life: null,
      key: null,
      async: false,
      byService: false,
      machineId: null,
      step: this.time.step,
      atMs: this.time.now(),
      answer: undefined,
      ...about,
    };
    this.requests.push(sent);
    const answering = isolate.fetch(
      new Request(`http://localhost/provision-machine${path}`, {
        method,
        headers: { ...headers, ...this.#credentials(sent), "x-request-id": sent.requestId },
        ...(body === undefined ? {} : { body }),
      }),
    );
    answering.then(async (response) => {
      if (response === CONNECTION_LOST) {
        sent.answer = "lost";
        return;
      }
      const { step } = this.time;
      const atMs = this.time.now();
      const text = await response.text();
      const { status, headers } = response;
      sent.answer = { step, atMs, status, headers, text, body: JSON.parse(text) as AnswerBody };
    });
    return sent;
  }
}
