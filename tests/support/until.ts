/** Waits until a condition holds. */
const LOOK_EVERY_MS = 5;

/** Resolves with the first truthy value of `condition`. Throws, naming `what`, when it never does. */
export async function until<T>(
  what: string,
  condition: () => T | Promise<T>,
  timeoutMs = 30_000,
): Promise<Exclude<T, undefined | null | false>> {
  const giveUpAt = Date.now() + timeoutMs;
  while (true) {
    const value = await condition();
    if (value) return value as Exclude<T, undefined | null | false>;
    if (Date.now() > giveUpAt) throw new Error(`waited ${timeoutMs} ms in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
}
