/** Fly.io's regions, and how each reports that it is full. */
import { FlyRefusal } from "../api/errors.ts";
import { RETIRED_REGIONS } from "./retired-regions.ts";

/** Fly.io's regions (https://fly.io/docs/reference/regions/, August 2026). */
export const FLY_REGIONS: readonly string[] = [
  "ams",
  "arn",
  "bom",
  "cdg",
  "dfw",
  "ewr",
  "fra",
  "gru",
  "iad",
  "jnb",
  "lax",
  "lhr",
  "nrt",
  "ord",
  "sin",
  "sjc",
  "syd",
  "yyz",
];

/**
 * The ways in which Fly.io reports that a region has no room. The status is never enough: the same 409
 * is a name conflict, the same 412 a failed precondition, the same 422 a rejected request.
 */
export const CAPACITY_VARIANTS = {
  // fly-go, flaps/flaps_error_test.go.
  "422-status": () =>
    new FlyRefusal(422, "could not find a candidate host", { code: "insufficient_capacity" }),
  "409-text": () =>
    new FlyRefusal(
      409,
      "aborted: insufficient resources available to fulfill request: insufficient memory available to fulfill request",
    ),
  "409-no-capacity": () => new FlyRefusal(409, "aborted: no capacity"),
  "503-status": () => new FlyRefusal(503, "out of capacity", { code: "insufficient_capacity" }),
  // Recorded: `fly machine start` and `fly deploy` in a full region.
  "412-text": () =>
    new FlyRefusal(
      412,
      "insufficient resources available to fulfill request: could not reserve resource for machine: insufficient memory available to fulfill request",
    ),
  // Composed of a documented status and a documented code.
  "412-status": () =>
    new FlyRefusal(412, "could not reserve resource for machine", {
      code: "insufficient_capacity",
    }),
  "409-status": () =>
    new FlyRefusal(409, "could not reserve resource for machine", {
      code: "insufficient_capacity",
    }),
  "422-text": () => new FlyRefusal(422, "insufficient memory available to fulfill request"),
} as const;

export type CapacityVariant = keyof typeof CAPACITY_VARIANTS;

export const CAPACITY_VARIANT_NAMES = Object.keys(CAPACITY_VARIANTS) as [
  CapacityVariant,
  ...CapacityVariant[],
];

/** Which regions exist, and which of them are full. */
export class Regions {
  readonly #known: ReadonlySet<string>;
  readonly #full = new Map<string, CapacityVariant>();
  readonly #silent = new Set<string>();
  readonly #retired = new Map(Object.entries(RETIRED_REGIONS));

  constructor(known: readonly string[]) {
    this.#known = new Set(known);
  }

  /** Every region, in order. */
  codes(): string[] {
    return [...this.#known];
  }

  has(region: string): boolean {
    return this.#known.has(region);
  }

  /**
   * @throws {RangeError} when no such region exists.
   */
  setCapacity(region: string, capacity: boolean, variant: CapacityVariant = "422-status"): void {
    this.#require(region);
    if (capacity) this.#full.delete(region);
    else this.#full.set(region, variant);
  }

  /** The error that a full region gives; undefined while it has room. */
  capacityError(region: string): FlyRefusal | undefined {
    const variant = this.#full.get(region);
    return variant === undefined ? undefined : CAPACITY_VARIANTS[variant]();
  }

  /** The full regions and how each says so. */
  full(): Record<string, CapacityVariant> {
    return Object.fromEntries(this.#full);
  }

  /**
   * Retires a region, or brings it back.
   *
   * @param successor The region that the refusal recommends; null brings it back.
   * @throws {RangeError} when no such region exists.
   */
  setRetired(region: string, successor: string | null): void {
    this.#require(region);
    if (successor === null) this.#retired.delete(region);
    else this.#retired.set(region, successor);
  }

  /** The region that a retired one is replaced by; undefined while it takes new Machines. */
  successor(region: string): string | undefined {
    return this.#retired.get(region);
  }

  /**
   * A region that does not answer is missing from lists.
   *
   * @throws {RangeError} when no such region exists.
   */
  setAnswers(region: string, answers: boolean): void {
    this.#require(region);
    if (answers) this.#silent.delete(region);
    else this.#silent.add(region);
  }

  answers(region: string): boolean {
    return !this.#silent.has(region);
  }

  /** The regions that do not answer. */
  silent(): string[] {
    return [...this.#silent];
  }

  /** Every region as at the beginning. */
  reset(): void {
    this.#retired.clear();
    for (const [region, successor] of Object.entries(RETIRED_REGIONS)) {
      this.#retired.set(region, successor);
    }
    this.#full.clear();
    this.#silent.clear();
  }

  #require(region: string): void {
    if (this.has(region)) return;
    throw new RangeError(`no region "${region}"; there are ${this.codes().join(", ")}`);
  }
}
