/** The IP addresses of apps. An app that was made over the API has none until one is assigned. */
import type { Random } from "./random.ts";

/** The types that fly-go's `flaps_ip_assignments.go` lists. */
export const ADDRESS_TYPES = [
  "v4",
  "v6",
  "shared_v4",
  "private_v6",
  "egress_v4",
  "egress_v6",
  "egress_pair",
] as const;

export type AddressType = typeof ADDRESS_TYPES[number];

export interface Address {
  readonly ip: string;
  /** Not in any answer: a client derives it. An `egress_pair` is an `egress_v4` and an `egress_v6`. */
  readonly type: Exclude<AddressType, "egress_pair">;
  /** The app's id, since an app's name can be given to another one later. */
  readonly appId: string;
  readonly region: string;
  readonly serviceName: string;
  /** For `private_v6` alone; the name is empty for the organization's default network. */
  readonly network: { name: string; org_slug: string } | null;
  readonly createdAtMs: number;
  /** Until then the list of the app's addresses lacks it. */
  readonly listedAtMs: number;
}

export class Addresses {
  #addresses: Address[] = [];

  constructor(private readonly random: Random) {}

  add(address: Omit<Address, "ip">): Address {
    const added = { ip: this.#newIp(address.type), ...address };
    this.#addresses.push(added);
    return added;
  }

  /** An app's addresses, oldest first. */
  of(appId: string): Address[] {
    return this.#addresses.filter((address) => address.appId === appId);
  }

  all(): Address[] {
    return [...this.#addresses];
  }

  /** @returns false when the app has no such address. */
  remove(appId: string, ip: string): boolean {
    const before = this.#addresses.length;
    this.#addresses = this.#addresses.filter((address) =>
      address.appId !== appId || address.ip !== ip
    );
    return this.#addresses.length < before;
  }

  removeAllOf(appId: string): void {
    this.#addresses = this.#addresses.filter((address) => address.appId !== appId);
  }

  clear(): void {
    this.#addresses = [];
  }

  /** Shared addresses come from a few that many apps have; a dedicated one belongs to one app. */
  #newIp(type: Address["type"]): string {
    for (;;) {
      const ip = randomIp(type, this.random);
      const free = !this.#addresses.some((address) => address.ip === ip);
      if (type === "shared_v4" || free) return ip;
    }
  }
}

function randomIp(type: Address["type"], random: Random): string {
  const below = (end: number) => Math.floor(random() * end);
  const group = () => below(0x10000).toString(16);
  switch (type) {
    case "shared_v4":
      return `66.241.${124 + below(2)}.${1 + below(254)}`;
    case "v4":
    case "egress_v4":
      return `137.66.${below(256)}.${1 + below(254)}`;
    case "v6":
    case "egress_v6":
      return `2a09:8280:1::${group()}:${group()}`;
    case "private_v6":
      return `fdaa:0:${group()}:0:1::${group()}`;
  }
}
