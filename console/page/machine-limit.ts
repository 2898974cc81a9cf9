/** How many machines a user may have, as far as this page knows. */

export class MachineLimit {
  #limit: number | null;

  /** @param configured from config.json; undefined: not known until the function refuses one */
  constructor(configured: number | undefined) {
    this.#limit = configured ?? null;
  }

  /** The function has refused another machine beside so many live ones. */
  learn(live: number): void {
    this.#limit = Math.max(1, live);
  }

  /**
   * Why there can be no further machine beside so many live ones; null: there may be.
   *
   * @param startable one of them is stopped, and may be what the user wants
   */
  reasonAgainst(live: number, startable: boolean): string | null {
    if (this.#limit === null || live < this.#limit) return null;
    const machines = this.#limit === 1 ? "1 machine" : `${this.#limit} machines`;
    const instead = startable
      ? "Start what is stopped, or destroy a machine to make room."
      : "To make room, destroy one.";
    return `You have reached your limit of ${machines}. ${instead}`;
  }
}
