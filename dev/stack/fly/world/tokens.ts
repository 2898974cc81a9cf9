/** Tokens: whose they are, what they reach, and until when they hold. */
import type { App } from "./apps.ts";

/** A token that the simulator knows. https://fly.io/docs/security/tokens/ */
export interface Token {
  /** With or without the prefix `FlyV1 ` that `fly tokens create` prints. */
  token: string;
  /** The slug of its organization; `personal` by default. */
  organization?: string | undefined;
  /** For these apps alone (a deploy token); a token of the whole organization by default. */
  apps?: readonly string[] | undefined;
  /** Whose `fly auth token` it is; a token of an organization or app is nobody's. */
  user?: string | undefined;
  /** A read-only token of the organization. */
  readOnly?: boolean | undefined;
  /** From then on it is refused. */
  expiresAtMs?: number | undefined;
  /**
   * How an expired token is refused: 401, the default, or 403, which a person's `fly auth token` gave
   * in the middle of a run.
   */
  expiredStatus?: 401 | 403 | undefined;
}

/** What a call asks of a token. */
export interface Need {
  write: boolean;
  /** Needs a token of the whole organization: a deploy token will not do. */
  whole?: boolean;
}

/** What the tokens of one call reach: a credential can be a list, and any of them will do. */
export class Access {
  constructor(readonly tokens: readonly Token[]) {}

  /** The organization that calls without an app are counted by. */
  get organization(): string {
    return organizationOf(this.tokens[0]);
  }

  reachesApp({ name, organization }: Pick<App, "name" | "organization">, need: Need): boolean {
    return this.tokens.some((token) =>
      organizationOf(token) === organization && allows(token, need) &&
      (token.apps === undefined || token.apps.includes(name))
    );
  }

  reachesOrganization(slug: string, need: Need): boolean {
    return this.tokens.some((token) =>
      organizationOf(token) === slug && allows(token, { ...need, whole: true })
    );
  }
}

function organizationOf(token: Token | undefined): string {
  return token?.organization ?? "personal";
}

function allows({ readOnly, apps }: Token, { write, whole }: Need): boolean {
  return !(write && readOnly === true) && !(whole === true && apps !== undefined);
}

export class Tokens {
  readonly #initial: readonly Token[];
  #tokens: Token[];

  constructor(initial: readonly Token[]) {
    this.#initial = initial;
    this.#tokens = [...initial];
  }

  /** Adds a token, or replaces the one of the same text. */
  set(token: Token): void {
    this.#tokens = [...this.#tokens.filter((known) => bare(known) !== bare(token)), token];
  }

  /**
   * The known tokens in a credential, expired ones included. A FlyV1 credential is a comma-separated
   * list (fly-go, tokens/tokens.go).
   */
  matching(credential: string): Token[] {
    const parts = new Set([credential, ...credential.split(",")].filter((part) => part !== ""));
    return this.#tokens.filter((token) => parts.has(bare(token)));
  }

  reset(): void {
    this.#tokens = [...this.#initial];
  }
}

function bare({ token }: Token): string {
  return token.replace(/^FlyV1\s+/i, "");
}
