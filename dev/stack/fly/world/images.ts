/** Images that a create cannot use, by their names as the create names them. */
import { FlyRefusal } from "../api/errors.ts";

export interface ImageProblem {
  /** Until then its manifest is unknown: after a push it took 10 s to a minute (checkout-surge and others). */
  missingUntilMs?: number | undefined;
  /** The create succeeds, the launch does not (ollama-open-webui issue 4). */
  tooLarge?: boolean | undefined;
}

export class Images {
  readonly #problems = new Map<string, ImageProblem>();

  set(image: string, problem: ImageProblem): void {
    this.#problems.set(image, problem);
  }

  tooLarge(image: string): boolean {
    return this.#problems.get(image)?.tooLarge === true;
  }

  /** @throws {FlyRefusal} 400, and nothing was made. */
  requireManifest(image: string, nowMs: number): void {
    const { missingUntilMs = 0 } = this.#problems.get(image) ?? {};
    if (nowMs >= missingUntilMs) return;
    throw new FlyRefusal(
      400,
      `failed to get manifest ${image} [http 404]: ` +
        '{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown","detail":"unknown tag"}]}',
    );
  }

  clear(): void {
    this.#problems.clear();
  }
}
