/** Every app, also those of strangers: app names are one namespace for all of Fly.io. */
import { appId } from "./identifiers.ts";
import type { Random } from "./random.ts";

export interface App {
  readonly id: string;
  readonly numericId: number;
  readonly name: string;
  readonly organization: string;
  /** The name of its private network, which never changes. */
  readonly network: string;
  readonly createdAtMs: number;
  /** Until then it is not found: fly-go treats 404 and 401 of a new app as "not yet". */
  readonly readableAtMs: number;
  /** Until then the list of its organization's apps lacks it. */
  readonly listedAtMs: number;
  /** Set when its deletion was accepted. */
  deletion?: AppDeletion;
}

/** When the parts of a deletion come about, in milliseconds since the epoch. */
export interface AppDeletion {
  acceptedAtMs: number;
  goneAtMs: number;
  nameFreeAtMs: number;
}

/** What an `idempotency_key` brought about. */
interface IdempotentCreate {
  app: App;
  atMs: number;
}

export class Apps {
  readonly #apps: App[] = [];
  readonly #idempotent = new Map<string, IdempotentCreate>();
  #count = 0;

  constructor(private readonly random: Random) {}

  add(app: Omit<App, "id" | "numericId" | "deletion">): App {
    const added = { id: appId(this.random), numericId: 4_000_000 + ++this.#count, ...app };
    this.#apps.push(added);
    return added;
  }

  /** The app as GET finds it, or would if it were not so new; undefined once it is gone. */
  find(name: string, nowMs: number): App | undefined {
    return this.#apps.find((app) => app.name === name && !gone(app, nowMs));
  }

  /** Every app that is not gone, oldest first. */
  all(nowMs: number): App[] {
    return this.#apps.filter((app) => !gone(app, nowMs));
  }

  /** Whether no new app may have this name: longer than there is an app of this name. */
  nameTaken(name: string, nowMs: number): boolean {
    return this.#apps.some((app) =>
      app.name === name && nowMs < (app.deletion?.nameFreeAtMs ?? Infinity)
    );
  }

  remember(key: string, app: App, atMs: number): void {
    this.#idempotent.set(key, { app, atMs });
  }

  /** The app that this `idempotency_key` made less than `keptMs` ago, which may be gone. */
  recall(key: string, nowMs: number, keptMs: number): App | undefined {
    const made = this.#idempotent.get(key);
    return made !== undefined && nowMs < made.atMs + keptMs ? made.app : undefined;
  }

  clear(): void {
    this.#apps.length = 0;
    this.#idempotent.clear();
    this.#count = 0;
  }
}

function gone({ deletion }: App, nowMs: number): boolean {
  return deletion !== undefined && nowMs >= deletion.goneAtMs;
}
