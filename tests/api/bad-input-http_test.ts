/** HTTP that is broken below the level of a request, sent over raw TCP to the real process. */
import assert from "node:assert/strict";
import { assertTruthfulAnswer, type RawAnswer } from "../support/bad-input-checks.ts";
import { FLY_TOKEN, type Stack, startStack } from "../support/stack.ts";

/** Longer than the function waits for a body; a request that takes this long hangs. */
const HANGS_AFTER_MS = 30_000;

interface RawCase {
  /** Sent one after the other; a number is a pause in milliseconds. */
  parts: (string | Uint8Array | number)[];
  /** After the last part the caller closes its side, or the whole connection. */
  then?: "half-close" | "close";
  /** Statuses of the answers, in order; empty: the connection ends without one. */
  expected: number[][];
}

const LINE = "POST /provision-machine HTTP/1.1\r\n";
const HEAD = "Host: 127.0.0.1\r\nConnection: close\r\nContent-Type: application/json\r\n";
const END = "\r\n";
const bytes = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0));
/** Refused by the HTTP server or by the function: one of the statuses, or a cut connection. */
const REFUSED = [400, 401, 404, 405, 408, 411, 413, 414, 417, 431, 501, 505];

/** The answers that each broken request may get. Malformed HTTP never reaches the function. */
function cases(key: string): Record<string, RawCase> {
  const sent = `${HEAD}apikey: ${key}\r\n`;
  const refused = (...parts: RawCase["parts"]): RawCase => ({ parts, expected: [REFUSED] });
  const lengths = ["abc", "-1", "+2", "2, 3", "0x2", "99999999999999999999", "1e3", ""];
  const hosts = ["", "a b", "[", "[::", "x:99999", "%", "user@host", '"', "h".repeat(5_000), "é"];
  return {
    ...Object.fromEntries(lengths.map((length) => [
      `Content-Length: ${length}`,
      refused(`${LINE}${sent}Content-Length: ${length}\r\n${END}{}`),
    ])),
    ...Object.fromEntries(hosts.map((host) => [
      `Host: ${host.slice(0, 20)}`,
      refused(bytes(
        `GET /provision-machine/nothing/here HTTP/1.1\r\nHost: ${host}\r\n` +
          `Connection: close\r\n${END}`,
      )),
    ])),
    "two Content-Lengths": refused(
      `${LINE}${sent}Content-Length: 2\r\nContent-Length: 3\r\n${END}{} `,
    ),
    "a bad chunk size": {
      parts: [`${LINE}${sent}Transfer-Encoding: chunked\r\n${END}zz\r\n{}\r\n0\r\n\r\n`],
      expected: [REFUSED],
    },
    "a chunked body over the limit": {
      parts: [
        `${LINE}${sent}Transfer-Encoding: chunked\r\n${END}`,
        ...Array<string>(5).fill(`1000\r\n${" ".repeat(4_096)}\r\n`),
        "0\r\n\r\n",
      ],
      expected: [[413]],
    },
    "a Content-Length over the limit, and no body": {
      parts: [`${LINE}${sent}Content-Length: 16385\r\n${END}`],
      expected: [[413]],
    },
    "a body that stops half-way": {
      parts: [`${LINE}${sent}Content-Length: 100\r\n${END}{"region":`],
      expected: [[400]],
    },
    "a body that trickles": {
      parts: [
        `${LINE}${sent}Content-Length: 100\r\n${END}`,
        ...Array.from({ length: 40 }, (_, index) => index % 2 === 0 ? "{" : 600),
      ],
      expected: [[400]],
    },
    "a caller who shuts down half-way": {
      parts: [`${LINE}${sent}Content-Length: 100\r\n${END}{`],
      then: "half-close",
      expected: [REFUSED],
    },
    "a caller who hangs up half-way": {
      parts: [`${LINE}${sent}Content-Length: 100\r\n${END}{`],
      then: "close",
      expected: [],
    },
    "a huge header": refused(`${LINE}${sent}X-Huge: ${"x".repeat(1_000_000)}\r\n${END}`),
    "thousands of headers": refused(
      `${LINE}${sent}${Array.from({ length: 5_000 }, (_, n) => `X-${n}: y\r\n`).join("")}${END}`,
    ),
    "a huge path": refused(
      `DELETE /provision-machine/${"m".repeat(300_000)} HTTP/1.1\r\n${sent}${END}`,
    ),
    "invalid UTF-8 in the path": refused(
      bytes(`DELETE /provision-machine/\xff\xfe\xc3 HTTP/1.1\r\n${sent}${END}`),
    ),
    "a zero byte in the path": refused(
      `DELETE /provision-machine/a\0b HTTP/1.1\r\n${sent}${END}`,
    ),
    "bytes beyond ASCII in headers": {
      parts: [bytes(`${LINE}${HEAD}apikey: \xff\xfe\r\nx-request-id: \xe9\r\n${END}`)],
      expected: [[400, 401]],
    },
    "a line break inside a header": refused(
      `${LINE}${sent}x-request-id: a\r\n folded\r\nContent-Length: 2\r\n${END}{}`,
    ),
    "a method of its own": refused(`BREW /provision-machine HTTP/1.1\r\n${sent}${END}`),
    "a method of garbage": refused(`\x01\x02\x03 / HTTP/1.1\r\n${sent}${END}`),
    "TRACE": refused(`TRACE /provision-machine HTTP/1.1\r\n${sent}${END}`),
    "CONNECT": refused(`CONNECT 127.0.0.1:80 HTTP/1.1\r\n${sent}${END}`),
    "OPTIONS *": {
      parts: [`OPTIONS * HTTP/1.1\r\n${sent}${END}`],
      expected: [[204, 400]],
    },
    "an absolute address": {
      parts: [`GET http://elsewhere.example/provision-machine/x/y HTTP/1.1\r\n${sent}${END}`],
      expected: [[400, 404]],
    },
    "HTTP/1.0 without a host": refused(`GET /provision-machine/x/y HTTP/1.0\r\n${END}`),
    "HTTP/9.9": refused(`GET / HTTP/9.9\r\n${sent}${END}`),
    "TLS": refused(bytes("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".padEnd(200, "\x00"))),
    "nothing at all, and the end": { parts: [], then: "half-close", expected: [] },
    "two requests at once": {
      parts: [
        `GET /provision-machine/x/y HTTP/1.1\r\nHost: a\r\n${END}`,
        `GET /provision-machine/x/y HTTP/1.1\r\n${sent}${END}`,
      ],
      expected: [[404], [404]],
    },
  };
}

Deno.test("broken HTTP: refused or answered, never a 5xx, never a hang", async (test) => {
  await using stack = await startStack();
  // At the same time: the slow ones wait for the function's own time limit.
  const outcomes = Object.entries(cases(stack.supabase.secretKey)).map(([name, raw]) =>
    [name, raw, exchange(stack, raw).catch((error: Error) => error)] as const
  );
  for (const [name, raw, outcome] of outcomes) {
    await test.step(name, async () => {
      const answers = await outcome;
      if (answers instanceof Error) throw answers;
      assertExpected(answers, raw, [FLY_TOKEN, stack.supabase.secretKey]);
    });
  }
  await test.step("afterwards the process still answers", async () => {
    const user = await stack.supabase.createUser();
    const { status, body } = await stack.call(user, { body: {} });
    assert.equal(status, 200, JSON.stringify(body));
    assert.deepEqual(
      stack.fn.lines.filter(({ line }) =>
        /not handled by any request|Uncaught|panicked/.test(line)
      ),
      [],
    );
  });
});

/** Sends the parts and reads until every answer is there or the other side has closed. */
async function exchange(stack: Stack, raw: RawCase): Promise<RawAnswer[]> {
  const { hostname, port } = new URL(stack.url);
  using connection = await Deno.connect({ hostname, port: Number(port) });
  const { promise: hangs, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error("it hangs")), HANGS_AFTER_MS);
  const reading = readAnswers(connection, raw.expected.length);
  try {
    await Promise.race([hangs, send(connection, raw.parts, reading)]);
    if (raw.then === "close") return [];
    if (raw.then === "half-close") await connection.closeWrite();
    return await Promise.race([hangs, reading]);
  } finally {
    clearTimeout(timer);
  }
}

async function send(
  connection: Deno.Conn,
  parts: RawCase["parts"],
  closed: Promise<unknown>,
): Promise<void> {
  let over = false;
  closed.then(() => over = true);
  for (const part of parts) {
    if (over) return;
    if (typeof part === "number") {
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, part);
      await Promise.race([promise, closed]);
      clearTimeout(timer);
      continue;
    }
    const data = typeof part === "string" ? new TextEncoder().encode(part) : part;
    try {
      for (let sent = 0; sent < data.length;) sent += await connection.write(data.subarray(sent));
    } catch {
      // Refused before all of it was sent; the answer can still be read.
      return;
    }
  }
}

async function readAnswers(connection: Deno.Conn, wanted: number): Promise<RawAnswer[]> {
  const buffer = new Uint8Array(65_536);
  const decoder = new TextDecoder();
  let text = "";
  try {
    for (let read = await connection.read(buffer); read; read = await connection.read(buffer)) {
      text += decoder.decode(buffer.subarray(0, read), { stream: true });
      const answers = parseAnswers(text);
      // A connection whose request never ends stays open after its answer.
      if (wanted > 0 && answers.length === wanted) return answers;
    }
  } catch {
    // Reset: the other side sends nothing more.
  }
  return parseAnswers(text);
}

/** The whole answers in what was received. */
function parseAnswers(text: string): RawAnswer[] {
  const answers: RawAnswer[] = [];
  for (let rest = text; rest.includes("\r\n\r\n");) {
    const [head = ""] = rest.split("\r\n\r\n", 1);
    const [statusLine = "", ...lines] = head.split("\r\n");
    const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(statusLine)?.[1]);
    const headers = new Headers(lines.map((line) => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon), line.slice(colon + 1).trim()];
    }));
    // Content-Length is in bytes and counted in characters here: these answers are ASCII.
    const length = Number(headers.get("content-length") ?? 0);
    const body = rest.slice(head.length + 4, head.length + 4 + length);
    if (body.length < length) break;
    answers.push({ status, headers, text: body });
    rest = rest.slice(head.length + 4 + length);
  }
  return answers;
}

/** An answer of the function has a request id; one without it is the HTTP server's and is empty. */
function assertExpected(answers: RawAnswer[], { expected }: RawCase, secrets: string[]): void {
  const mayBeCut = expected.every((statuses) => statuses.length === REFUSED.length);
  if (!(mayBeCut && answers.length === 0)) assert.equal(answers.length, expected.length);
  for (const [index, answer] of answers.entries()) {
    assert.ok(expected[index]?.includes(answer.status), `${answer.status}: ${answer.text}`);
    if (answer.headers.has("x-request-id")) assertTruthfulAnswer(answer, secrets);
    else assert.equal(answer.text, "", "the HTTP server's answer reveals something");
  }
}
