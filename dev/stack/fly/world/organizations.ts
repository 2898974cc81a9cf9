/** The organizations and what each of them may do. */

export interface Organization {
  readonly slug: string;
  readonly name: string;
  readonly numericId: number;
  /**
   * Networks that an app named once. Each stays for good, and naming it again joins it
   * (https://fly.io/docs/networking/custom-private-networks/).
   */
  readonly networks: Set<string>;
  /** `fly orgs cross-network-replays enable`: off until an admin turns it on. */
  crossNetworkReplays: boolean;
  /** `fly orgs replay-sources add`: organizations whose apps may replay to apps of this one. */
  readonly replaySources: Set<string>;
  /** How many Machines it may have, in all its apps; null for no limit. */
  machineLimit: number | null;
  appLimit: number | null;
  /** How many MB of memory its Machines may have in a region. */
  memoryQuotasMb: Readonly<Record<string, number>>;
  /** How creates are refused for want of payment. */
  billing: "payment-information" | "second-machine" | null;
  /** When its trial began; null when it pays. */
  trialSinceMs: number | null;
}

/** An organization exists as soon as an app or a token names it. */
export class Organizations {
  readonly #organizations = new Map<string, Organization>();

  get(slug: string): Organization {
    const known = this.#organizations.get(slug);
    if (known !== undefined) return known;
    const organization: Organization = {
      slug,
      name: slug,
      numericId: 700_000 + this.#organizations.size,
      networks: new Set(),
      crossNetworkReplays: false,
      replaySources: new Set(),
      machineLimit: null,
      appLimit: null,
      memoryQuotasMb: {},
      billing: null,
      trialSinceMs: null,
    };
    this.#organizations.set(slug, organization);
    return organization;
  }

  all(): Organization[] {
    return [...this.#organizations.values()];
  }

  clear(): void {
    this.#organizations.clear();
  }
}
