/** What is said over a machine's WebSocket: the protocol of examples/machine. */
import { asObject, parseJson } from "./answers.ts";
import { failed, type ProvisionMachineError } from "./errors.ts";
import { randomId } from "./host.ts";
import type { ConnectOptions, WebSocketLike } from "./types.ts";

/** A machine that is silent for so long, while it owes an acknowledgement, cannot be reached. */
const ANSWER_WITHIN_MS = 30_000;
/** Texts come in bursts, and one confirmation covers all that came before it. */
const CONFIRM_AFTER_MS = 50;

/** One socket, and what to call when it can be used, or no longer can. */
export interface Session {
  socket: WebSocketLike;
  opened: () => void;
  end: (error: ProvisionMachineError) => void;
}

export interface Protocol {
  /** The address to open, made of the one with the token. */
  address(url: string): string;
  /** Uses a socket that is still connecting. */
  attach(session: Session): void;
  /** The socket has ended. */
  detach(): void;
  send(text: string): Promise<void>;
  /** Everything has ended. */
  end(error: ProvisionMachineError): void;
}

interface Sent {
  /** As it is sent, the first time and again. */
  message: string;
  resolve: () => void;
  reject: (error: ProvisionMachineError) => void;
}

/** Every text is numbered, acknowledged, and sent again until it is. */
export function acknowledged({ onMessage, onLost }: ConnectOptions): Protocol {
  const connection = randomId();
  /** What the machine has not acknowledged, oldest first. */
  const sent = new Map<string, Sent>();
  let count = 0;
  /** The number of the last text from the machine. */
  let seen = 0;
  /** The machine has known this connection before. */
  let known = false;
  /** The socket whose machine has greeted. */
  let session: Session | undefined;
  const say = (message: string) => session?.socket.send(message);
  const answerTimer = timer(() => session?.end(failed("No answer")), ANSWER_WITHIN_MS);
  const confirmTimer = timer(() => say(JSON.stringify({ seen })), CONFIRM_AFTER_MS);
  /** From now on the machine has its whole time again. */
  const expectAnswer = () => {
    answerTimer();
    answerTimer(session && sent.size > 0);
  };
  const greeted = (by: Session, resumed: unknown) => {
    session = by;
    if (resumed !== true) {
      seen = 0;
      if (known) onLost?.();
    }
    known = true;
    for (const { message } of sent.values()) say(message);
    by.opened();
  };
  const receive = ({ ack, seq, text }: Record<string, unknown>) => {
    sent.get(`${ack}`)?.resolve();
    sent.delete(`${ack}`);
    // A number from before was delivered already.
    if (typeof seq !== "number" || seq <= seen) return;
    if (seq > seen + 1) onLost?.();
    seen = seq;
    confirmTimer(true);
    onMessage?.(`${text}`);
  };

  return {
    address: (url) => `${url}&session=${connection}&seen=${seen}`,
    attach(attached) {
      let first = true;
      attached.socket.addEventListener("message", ({ data }) => {
        const message = asObject(parseJson(`${data}`)) ?? {};
        if (!first) {
          // What still arrives of a socket that was given up comes again over the next one.
          if (session === attached) receive(message);
        } else if (message["session"] === connection) greeted(attached, message["resumed"]);
        else {attached.end(
            failed("Use onSocket", { retry: "no" }),
          );}
        first = false;
        expectAnswer();
      });
    },
    detach() {
      session = undefined;
      answerTimer();
      confirmTimer();
    },
    send(text) {
      const id = `${connection}:${++count}`;
      const message = JSON.stringify({ id, text });
      const acknowledged = new Promise<void>((resolve, reject) => {
        sent.set(id, { message, resolve, reject });
      });
      // Who does not wait for it learns of the end through the connection's state.
      acknowledged.catch(() => {});
      say(message);
      expectAnswer();
      return acknowledged;
    },
    end(error) {
      for (const { reject } of sent.values()) reject(error);
      sent.clear();
    },
  };
}

/** Starts unless it runs already; not wanted, it is stopped. */
function timer(act: () => void, ms: number): (isWanted?: boolean) => void {
  let running: ReturnType<typeof setTimeout> | undefined;
  const stop = () => {
    clearTimeout(running);
    running = undefined;
  };
  return (isWanted) => {
    if (!isWanted) return stop();
    running ??= setTimeout(() => {
      stop();
      act();
    }, ms);
  };
}
