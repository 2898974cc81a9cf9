/**
 * Secrets made up for a test, and the search for them in everything that came out: as they are,
 * in part, and in every encoding that software puts a string into on its way.
 */

/** Long enough not to occur by chance, short enough to find one that was cut. */
const TELLING_CHARACTERS = 12;
const encoder = new TextEncoder();

export class Canaries {
  /** What must not be found, and which canary it gives away. */
  private readonly needles = new Map<string, string>();

  /** Makes a canary; `wrap` puts it into what is to be kept secret as a whole. */
  plant(name: string, wrap: (canary: string) => string = (canary) => canary): string {
    const canary = `canary${
      Array.from(crypto.getRandomValues(new Uint8Array(14)), (byte) =>
        byte.toString(36).padStart(2, "0"))
        .join("")
    }`;
    this.guard(name, canary);
    return wrap(canary);
  }

  /** Looks for a secret that was not made here. */
  guard(name: string, secret: string): void {
    const last = Math.max(0, secret.length - TELLING_CHARACTERS);
    for (let start = 0; start <= last; start++) {
      const part = secret.slice(start, start + TELLING_CHARACTERS);
      for (const needle of encodings(part)) this.needles.set(needle, name);
    }
  }

  /** Names of the canaries that are in `text`, each with what stands around the place. */
  findIn(text: string): string[] {
    const found = new Map<string, string>();
    for (const [needle, name] of this.needles) {
      const at = text.indexOf(needle);
      if (at >= 0 && !found.has(name)) found.set(name, text.slice(Math.max(0, at - 60), at + 40));
    }
    return [...found].map(([name, place]) => `${name}: …${place}…`);
  }
}

function encodings(part: string): string[] {
  const bytes = encoder.encode(part);
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0"));
  const json = JSON.stringify(part).slice(1, -1);
  return [
    part,
    json,
    JSON.stringify(json).slice(1, -1),
    encodeURIComponent(part),
    encodeURIComponent(part).toLowerCase(),
    encodeURIComponent(encodeURIComponent(part)),
    hex.join(""),
    hex.map((pair) => `%${pair}`).join(""),
    ...base64Of(bytes),
  ];
}

/** What the base64 of any text with these bytes in it contains, whatever stands around them. */
function base64Of(bytes: Uint8Array): string[] {
  return [0, 1, 2].flatMap((before) => {
    const padded = new Uint8Array(before + bytes.length);
    padded.set(bytes, before);
    const encoded = btoa(String.fromCharCode(...padded)).replace(/=+$/, "");
    // Characters at either end hold bits of the neighbours too.
    const sure = encoded.slice(before === 0 ? 0 : before + 1, -1);
    return [sure, sure.replaceAll("+", "-").replaceAll("/", "_")];
  });
}
