/**
 * Whether the image has a manifest at its registry, as Fly.io asks for it before a create. Only what a
 * registry shows is seen: an image of the wrong architecture or without a program looks the same.
 * https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests
 */
import { type Check, reasonOf, setCommand, type Subject } from "../check.ts";

const LIMIT_MS = 10_000;
const DOCKER_HUB = "registry-1.docker.io";
const MANIFESTS = [
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
  "application/vnd.docker.distribution.manifest.v2+json",
].join(", ");

export interface ImageName {
  registry: string;
  repository: string;
  /** A tag or a digest. */
  reference: string;
}

/** The parts of an image's name, with Docker's defaults for what is left out. */
export function parseImage(image: string): ImageName {
  const [, name = image, digest] = /^([^@]+)@(.+)$/.exec(image) ?? [];
  const [, untagged = name, tag = "latest"] = /^(.*):([^/:]+)$/.exec(name) ?? [];
  const [first = "", ...rest] = untagged.split("/");
  // A first part with a dot or a port, or localhost, is a host: https://docs.docker.com/reference/cli/docker/image/tag/
  const hasHost = rest.length > 0 && /[.:]|^localhost$/.test(first);
  const path = hasHost ? rest.join("/") : untagged;
  return {
    registry: hasHost && first !== "docker.io" ? first : DOCKER_HUB,
    repository: (!hasHost || first === "docker.io") && !path.includes("/")
      ? `library/${path}`
      : path,
    reference: digest ?? tag,
  };
}

export const IMAGE: Check = {
  name: "image",
  async run(subject) {
    const { environment: { settings: { DOCKER_IMAGE: image } } } = subject;
    if (image === undefined) return { skipped: "DOCKER_IMAGE is missing or not valid" };
    let status: number;
    try {
      status = await askForManifest(subject, parseImage(image));
    } catch (error) {
      return { skipped: `the registry of ${image}: ${reasonOf(error)}` };
    }
    const push = `docker push ${image}, or ${setCommand("DOCKER_IMAGE=<image>")}`;
    if (status === 404) return [{ says: `the image ${image} is not at its registry`, fix: push }];
    if (status === 401 || status === 403) {
      return [{ says: `the registry of ${image} does not let FLY_API_TOKEN read it`, fix: push }];
    }
    return status < 300 ? [] : { skipped: `the registry of ${image} answered ${status}` };
  },
};

/** @returns the registry's status */
async function askForManifest(
  subject: Subject,
  { registry, repository, reference }: ImageName,
): Promise<number> {
  const scheme = /^(localhost|127\.0\.0\.1)(:|$)/.test(registry) ? "http" : "https";
  const url = `${scheme}://${registry}/v2/${repository}/manifests/${reference}`;
  const login = loginFor(registry, subject);
  const ask = async (authorization: string | undefined) => {
    const response = await subject.fetch(url, {
      method: "HEAD",
      headers: { accept: MANIFESTS, ...(authorization ? { authorization } : {}) },
      signal: AbortSignal.timeout(LIMIT_MS),
    });
    await response.body?.cancel();
    return response;
  };
  const first = await ask(login);
  const challenge = first.headers.get("www-authenticate") ?? "";
  if (first.status !== 401 || !/^Bearer /i.test(challenge)) return first.status;
  const token = await registryToken(subject, challenge, login);
  return token === null ? first.status : (await ask(`Bearer ${token}`)).status;
}

/** Fly.io's registry takes the token as the password of any user, as `fly auth docker` stores it. */
function loginFor(registry: string, { environment: { settings } }: Subject): string | undefined {
  if (registry !== "registry.fly.io" || !settings.FLY_API_TOKEN) return undefined;
  return `Basic ${btoa(`x:${settings.FLY_API_TOKEN}`)}`;
}

/** https://distribution.github.io/distribution/spec/auth/token/ */
async function registryToken(
  { fetch }: Subject,
  challenge: string,
  login: string | undefined,
): Promise<string | null> {
  const parts = Object.fromEntries(
    [...challenge.matchAll(/(\w+)="([^"]*)"/g)].map(([, name, value]) => [name, value]),
  );
  if (parts["realm"] === undefined || !URL.canParse(parts["realm"])) return null;
  const realm = new URL(parts["realm"]);
  for (const name of ["service", "scope"]) {
    const value = parts[name];
    if (value !== undefined) realm.searchParams.set(name, value);
  }
  const response = await fetch(realm, {
    headers: login === undefined ? {} : { authorization: login },
    signal: AbortSignal.timeout(LIMIT_MS),
  });
  const body: unknown = response.ok ? await response.json() : (await response.body?.cancel(), {});
  if (typeof body !== "object" || body === null) return null;
  const token = "token" in body ? body.token : "access_token" in body ? body.access_token : null;
  return typeof token === "string" ? token : null;
}
