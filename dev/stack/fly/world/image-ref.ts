/** A Machine's `image_ref`, as in Fly.io's documentation of the Machines resource. */
export interface ImageRef {
  registry: string;
  repository: string;
  tag: string;
  digest: string;
  labels: Record<string, string> | null;
}

/**
 * Splits an image's name as Docker does: no registry means Docker Hub, no namespace there means
 * `library`, no tag means `latest`. Without a digest one is derived from the name, so that one name
 * always gives one digest.
 */
export function imageRef(image: string): ImageRef {
  const [name = "", givenDigest] = image.split("@", 2);
  const slash = name.indexOf("/");
  const first = slash < 0 ? "" : name.slice(0, slash);
  const hasRegistry = /[.:]/.test(first) || first === "localhost";
  const registry = hasRegistry ? first : "registry-1.docker.io";
  const path = hasRegistry ? name.slice(slash + 1) : name;
  const colon = path.lastIndexOf(":");
  const repository = colon < 0 ? path : path.slice(0, colon);
  return {
    registry: registry === "docker.io" ? "registry-1.docker.io" : registry,
    repository: hasRegistry || repository.includes("/") ? repository : `library/${repository}`,
    tag: colon < 0 ? "latest" : path.slice(colon + 1),
    digest: givenDigest ?? `sha256:${digits(name)}`,
    labels: null,
  };
}

/** 64 hexadecimal digits that depend on the text alone (FNV-1a, eight times with another start). */
function digits(text: string): string {
  let result = "";
  for (let round = 0; round < 8; round++) {
    let hash = (0x811c9dc5 + round * 0x9e3779b9) >>> 0;
    for (const byte of new TextEncoder().encode(text)) {
      hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
    }
    result += hash.toString(16).padStart(8, "0");
  }
  return result;
}
