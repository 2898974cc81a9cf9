/** The open connections to each Machine: its load, and what ends with it. */

export interface Connection {
  /** Breaks it off. */
  cut(): void;
  /** Ends it with a close frame if it is a WebSocket. */
  sendAway(): void;
}

export class Connections {
  readonly #open = new Map<string, Set<Connection>>();
  readonly #listeners = new Set<() => void>();

  /** Counts a connection until the returned function is called. */
  enter(machineId: string, connection: Connection): () => void {
    const open = this.#open.get(machineId) ?? new Set();
    this.#open.set(machineId, open.add(connection));
    return () => {
      if (open.delete(connection)) { for (const listener of [...this.#listeners]) listener(); }
    };
  }

  /** How many there are to a Machine, requests under way included. */
  load(machineId: string): number {
    return this.#open.get(machineId)?.size ?? 0;
  }

  /** How many there are in all. */
  get size(): number {
    return [...this.#open.values()].reduce((sum, open) => sum + open.size, 0);
  }

  cut(machineId: string): void {
    for (const connection of [...this.#open.get(machineId) ?? []]) connection.cut();
  }

  cutAll(): void {
    for (const machineId of this.#open.keys()) this.cut(machineId);
  }

  sendAway(machineId: string): void {
    for (const connection of [...this.#open.get(machineId) ?? []]) connection.sendAway();
  }

  /** Resolves when the next connection ends, or when `signal` is aborted. */
  async nextEnd(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const done = () => resolve();
    this.#listeners.add(done);
    signal.addEventListener("abort", done, { once: true });
    await promise;
    this.#listeners.delete(done);
    signal.removeEventListener("abort", done);
  }
}
