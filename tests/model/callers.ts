/** The callers of the function: their requests and the answers. */
import { CONNECTION_LOST, type SimulatedIsolate } from "./simulated-isolate.ts";
import { BODIES, type Operation } from "./schedule.ts";
import type { VirtualClock } from "../../dev/stack/clock.ts";
import { type ModelWorld, userId } from "./model-world.ts";

export interface ReceivedAnswer {
  step: number;
  atMs: number;
  status: number;
  headers: Headers;
  text: string;
  body: AnswerBody;
}

/** The members of an answer that the checks read; see the contract for which answer has which. */
export interface AnswerBody {
  machineId?: string | null;
  flyMachineId?: string | null;
  websocketUrl?: string;
  status?: string;
  code?: string;
  retry?: string;
  error?: string;
  message?: string;
  requestId?: string;
  actions?: { action: string; machineId: string | null }[];
}

/** What a run of reconcile reports, by action. */
export type ReconcileCounts = Record<string, number>;

/** Whether it did nothing: machines that it holds back are held back in every run. */
export function isQuiet({ orphansHeld: _held, ...did }: ReconcileCounts): boolean {
  return Object.values(did).every((count) => count === 0);
}

/** One request to the function. */
export interface FunctionRequest {
  requestId: string;
  kind: "provision" | "destroy" | "reconcile";
  isolate: string;
  /** The machine's owner for a provision, the caller for a destroy; null is a service. */
  userId: string | null;
  /** For a provision: the Idempotency-Key and the body. */
  key: string | null;
  body: string;
  async: boolean;
  /** For a destroy: the machine's name. */
  machineId: string | null;
  step: number;
  atMs: number;
  /** Undefined until there is one; "lost" when the isolate ended. */
  answer: ReceivedAnswer | "lost" | undefined;
}

type Of<Kind extends Operation["kind"]> = Extract<Operation, { kind: Kind }>;

export class Callers {
  readonly requests: FunctionRequest[] = [];

  constructor(private readonly world: ModelWorld, private readonly time: VirtualClock) {}

  /** Whether every request has its answer. */
  get idle(): boolean {
    return this.requests.every(({ answer }) => answer !== undefined);
  }

  provision(isolate: SimulatedIsolate, operation: Of<"provision">): void {
    const { user, asService, key, async } = operation;
    const owner = userId(user);
    const wanted = BODIES[operation.body % BODIES.length] ?? {};
    const body = JSON.stringify(asService ? { userId: owner, ...wanted } : wanted);
    const idempotencyKey = key === null ? null : `key-${key}`;
    this.#send(isolate, { kind: "provision", userId: owner, key: idempotencyKey, body, async }, {
      method: "POST",
      path: "",
      headers: {
        ...this.#credentials(asService ? null : user),
        "content-type": "application/json",
        ...(idempotencyKey === null ? {} : { "idempotency-key": idempotencyKey }),
        ...(async ? { prefer: "respond-async" } : {}),
      },
      body,
    });
  }

  destroy(isolate: SimulatedIsolate, { user, asService }: Of<"destroy">, machineId: string): void {
    const by = asService ? null : user;
    this.#send(isolate, {
      kind: "destroy",
      userId: by === null ? null : userId(by),
      machineId,
    }, { method: "DELETE", path: `/${machineId}`, headers: this.#credentials(by) });
  }

  reconcile(isolate: SimulatedIsolate): void {
    this.#send(isolate, { kind: "reconcile" }, {
      method: "POST",
      path: "/reconcile",
      headers: this.#credentials(null),
    });
  }

  /** What the latest reconcile did; null when it failed. */
  lastReconcile(): ReconcileCounts | null {
    const answer = this.requests.findLast(({ kind }) => kind === "reconcile")?.answer;
    if (answer === undefined || answer === "lost" || answer.status !== 200) return null;
    const counts = Object.entries(answer.body).filter(([, value]) => typeof value === "number");
    return Object.fromEntries(counts) as ReconcileCounts;
  }

  #credentials(user: number | null): Record<string, string> {
    if (user === null) return { apikey: this.world.database.stack.secretKey };
    return { authorization: `Bearer ${this.world.tokens[user]}` };
  }

  #send(
    isolate: SimulatedIsolate,
    about: Pick<FunctionRequest, "kind"> & Partial<FunctionRequest>,
    request: { method: string; path: string; headers: Record<string, string>; body?: string },
  ): void {
    const requestId = `request-${this.requests.length}`;
    const sent: FunctionRequest = {
      requestId,
      isolate: isolate.name,
      userId: null,
      key: null,
      body: "",
      async: false,
      machineId: null,
      step: this.time.step,
      atMs: this.time.now(),
      answer: undefined,
      ...about,
    };
    this.requests.push(sent);
    const { method, path, headers, body } = request;
    const answering = isolate.fetch(
      new Request(`http://localhost/provision-machine${path}`, {
        method,
        headers: { ...headers, "x-request-id": requestId },
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
  }
}
