/** What an organization has beside apps and Machines: addresses, secrets, consent to replays. */

export type AddressType = "v4" | "shared_v4" | "v6" | "private_v6";

export interface Address {
  type: AddressType;
  assignedAtMs: number;
}

export class Account {
  readonly #addresses = new Map<string, Address[]>();
  readonly #secrets = new Map<string, Record<string, string>>();
  readonly #crossNetwork = new Set<string>();
  readonly #sources = new Map<string, Set<string>>();

  /** Gives an app an address, as `fly ips allocate-v4 --shared` and `fly ips allocate-v6` do. */
  assignAddress(app: string, type: AddressType, assignedAtMs: number): void {
    this.#addresses.set(app, [...this.addresses(app), { type, assignedAtMs }]);
  }

  releaseAddresses(app: string): void {
    this.#addresses.delete(app);
  }

  addresses(app: string): readonly Address[] {
    return this.#addresses.get(app) ?? [];
  }

  /** `fly secrets set`: for every Machine of the app that starts from now on. */
  setSecrets(app: string, secrets: Readonly<Record<string, string>>): void {
    this.#secrets.set(app, { ...this.secrets(app), ...secrets });
  }

  secrets(app: string): Readonly<Record<string, string>> {
    return this.#secrets.get(app) ?? {};
  }

  /** `fly orgs cross-network-replays enable`, or `disable`. */
  allowCrossNetworkReplays(organization: string, allowed = true): void {
    if (allowed) this.#crossNetwork.add(organization);
    else this.#crossNetwork.delete(organization);
  }

  allowsCrossNetworkReplays(organization: string): boolean {
    return this.#crossNetwork.has(organization);
  }

  /** `fly orgs replay-sources add`: apps of `source` may replay to apps of `target`. */
  allowReplaySource(target: string, source: string): void {
    this.#sources.set(target, new Set([...this.#sources.get(target) ?? [], source]));
  }

  allowsReplaySource(target: string, source: string): boolean {
    return this.#sources.get(target)?.has(source) ?? false;
  }
}
