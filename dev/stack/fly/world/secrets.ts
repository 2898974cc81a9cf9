/** The secrets of apps: variables that every Machine of the app finds when it starts. */

export type SecretValues = Readonly<Record<string, string>>;

export class Secrets {
  readonly #secrets = new Map<string, SecretValues>();

  /** @param appId The app's id, since an app's name can be given to another one later. */
  set(appId: string, secrets: SecretValues): void {
    this.#secrets.set(appId, { ...this.of(appId), ...secrets });
  }

  of(appId: string): SecretValues {
    return this.#secrets.get(appId) ?? {};
  }

  clear(): void {
    this.#secrets.clear();
  }
}
