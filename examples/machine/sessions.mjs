// What clients have not confirmed yet, so that they get it after a lost connection. Copy this file
// as it is; ../README.md defines what is said.
// deno-lint-ignore-file explicit-module-boundary-types -- plain JavaScript

const MAX_SESSIONS = 100;
const MAX_UNCONFIRMED = 1_000;
const FORM = /^[\w-]{8,64}$/;

/** The sessions of one machine, the one that was used last at the end. */
export class Sessions {
  #sessions = new Map();

  /**
   * The session that the query of `url` names, a new one if it is not known; undefined without one.
   * A session that lacks something which its client has not seen is not known any more.
   */
  open(url) {
    const query = new URLSearchParams(url.includes("?") ? url.slice(url.indexOf("?")) : "");
    const id = query.get("session") ?? "";
    const seen = Number(query.get("seen") ?? 0);
    if (!FORM.test(id) || !Number.isSafeInteger(seen)) return undefined;
    const known = this.#sessions.get(id);
    this.#sessions.delete(id);
    const resumed = known?.confirm(seen) ?? false;
    const session = resumed ? known : new Session(id);
    this.#sessions.set(id, session);
    if (this.#sessions.size > MAX_SESSIONS) {
      this.#sessions.delete(this.#sessions.keys().next().value);
    }
    return { session, resumed };
  }
}

class Session {
  #unconfirmed = [];
  #last = 0;
  #deliver = () => {};

  constructor(id) {
    this.id = id;
  }

  /** From now on what is sent goes to `deliver`, beginning with what the client may not have got. */
  attach(deliver) {
    this.#deliver = deliver;
    this.#unconfirmed.forEach(deliver);
  }

  /**
   * Numbers a text, sends it and keeps it until the client has confirmed it. It goes over the newest
   * connection: the one before may still be read from when the client has left it already.
   */
  send(text) {
    const message = { seq: ++this.#last, text };
    this.#unconfirmed.push(message);
    if (this.#unconfirmed.length > MAX_UNCONFIRMED) this.#unconfirmed.shift();
    this.#deliver(message);
  }

  /** Forgets what the client has seen. Returns whether all that it has not seen is still here. */
  confirm(seen) {
    const first = this.#last - this.#unconfirmed.length;
    if (!(seen >= first && seen <= this.#last)) return false;
    this.#unconfirmed.splice(0, seen - first);
    return true;
  }
}
