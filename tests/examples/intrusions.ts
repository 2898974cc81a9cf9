// Tries to get into other users' machines, the whole way through Fly Proxy, the router and the
// machine, with tokens of which none may open anything: forged, expired, foreign, for another user.
import { type Random, seededRandom } from "../../dev/stack/fly/mod.ts";
import { CONNECT_SECRET } from "../support/stack.ts";
import { arrivalOf } from "./arrivals.ts";
import { inParallel } from "./in-parallel.ts";
import { type Owner, type OwnMachines, type Way, WAYS } from "./own-machines.ts";
import { type Claims, claims, machineKey, sign } from "./tokens.ts";

const ATTEMPTS_AT_ONCE = 32;
const EXAMPLES_KEPT = 5;

/** What became of the bad tokens of one way. */
export interface Intrusions {
  tokens: number;
  gotIn: number;
  refused: number;
  errors: number;
  /** How many there were of each kind. */
  kinds: Record<string, number>;
  /** The first that were not refused, in words. */
  examples: string[];
}

/** `attacker` has a machine too, and can read its key there. */
interface Attempt {
  attacker: Owner;
  victim: Owner;
  random: Random;
}

interface BadToken {
  kind: string;
  query: (attempt: Attempt) => string | Promise<string>;
  /** Presented to the router as one for the attacker's own machine. */
  asAttackers?: boolean;
  /** Only the machine itself can know, so one that admits anyone would not refuse it. */
  machineKnows?: boolean;
}

const BAD_TOKENS: BadToken[] = [
  { kind: "none", query: () => "" },
  { kind: "empty", query: () => "?token=" },
  {
    kind: "two",
    query: async ({ victim }) => `?token=${await victim.token()}&token=${await victim.token()}`,
  },
  {
    kind: "forged: a guessed key",
    query: ({ victim, random }) => query(sign(good(victim), { key: guessedKey(random) })),
  },
  {
    kind: "forged: alg none",
    query: ({ victim }) => query(sign(good(victim), { header: { alg: "none", typ: "JWT" } })),
  },
  {
    kind: "forged: changed claims",
    async query({ attacker, victim }) {
      const [header, , signature] = (await attacker.token()).split(".");
      const [, payload] = sign(good(victim)).split(".");
      return query(`${header}.${payload}.${signature}`);
    },
  },
  {
    kind: "forged: a changed character",
    query: async ({ victim, random }) => query(withOtherCharacter(await victim.token(), random)),
  },
  {
    kind: "expired",
    query({ victim, random }) {
      const exp = Math.floor(Date.now() / 1_000) - 10 - Math.floor(random() * 1e6);
      return query(sign(good(victim, { iat: exp - 60, exp }), { key: keyOf(victim) }));
    },
  },
  {
    kind: "foreign: a good one for the attacker's machine",
    query: async ({ attacker }) => query(await attacker.token()),
  },
  {
    kind: "foreign: the victim's claims, the attacker's key",
    query: ({ attacker, victim }) => query(sign(good(victim), { key: keyOf(attacker) })),
  },
  {
    kind: "foreign: leads to the victim's machine, the attacker's key",
    asAttackers: true,
    query({ attacker, victim }) {
      const { app, machine } = good(victim);
      return query(sign(good(attacker, { app, machine }), { key: keyOf(attacker) }));
    },
  },
  {
    kind: "for another user, the machine's own key",
    machineKnows: true,
    query: ({ attacker, victim }) =>
      query(sign(good(victim, { sub: attacker.userId }), { key: keyOf(victim) })),
  },
];

/** Presents `tokens` bad tokens, half of them each way. */
export async function presentBadTokens(
  machines: OwnMachines,
  tokens: number,
): Promise<Record<Way, Intrusions>> {
  const counts: Record<Way, Intrusions> = { direct: none(), router: none() };
  await inParallel([...Array(tokens).keys()], ATTEMPTS_AT_ONCE, async (n) => {
    const way = pick(WAYS, n);
    const bad = pick(BAD_TOKENS, Math.floor(n / WAYS.length));
    const attempt = draw(machines, way, bad);
    const to = bad.asAttackers === true && way === "router" ? attempt.attacker : attempt.victim;
    const address = way === "router" ? machines.routerAddress(to.machine.id) : to.machine.address;
    const arrival = await arrivalOf(machines.local(address + await bad.query(attempt)));
    const { kinds, examples } = counts[way];
    counts[way].tokens++;
    kinds[bad.kind] = (kinds[bad.kind] ?? 0) + 1;
    if (arrival.kind === "machine") counts[way].gotIn++;
    else if (arrival.kind === "refused") counts[way].refused++;
    else counts[way].errors++;
    if (arrival.kind !== "refused" && examples.length < EXAMPLES_KEPT) {
      examples.push(`${bad.kind}: ${address}: ${JSON.stringify(arrival)}`);
    }
  });
  return counts;
}

/** Two users, and randomness of their own: attempts that run at once would draw in any order. */
function draw({ owners, random }: OwnMachines, way: Way, bad: BadToken): Attempt {
  const victims = owners.filter((owner) => owner.way === way && isVictim(owner, bad));
  const victim = pick(victims, Math.floor(random() * victims.length));
  const others = owners.filter((owner) => owner !== victim);
  const attacker = pick(others, Math.floor(random() * others.length));
  return { victim, attacker, random: seededRandom(Math.floor(random() * 2 ** 32)) };
}

function isVictim({ way, admitsAnyone }: Owner, { asAttackers, machineKnows }: BadToken): boolean {
  // Without a router only the machine checks.
  if (way === "direct" || machineKnows) return !admitsAnyone;
  // The others would refuse what the router should not have let through.
  return !asAttackers || admitsAnyone;
}

/** The claims of a token that opens the machine. */
function good({ machine, userId }: Owner, changes: Claims = {}): Claims {
  const own = { aud: machine.id, app: machine.id, machine: machine.flyId, sub: userId };
  return claims({ ...own, ...changes });
}

function keyOf({ machine }: Owner): string {
  return machineKey(machine.id, CONNECT_SECRET);
}

function query(token: string): string {
  return `?token=${token}`;
}

const BASE64URL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

function guessedKey(random: Random): string {
  const characters = Array.from(
    { length: 43 },
    () => pick([...BASE64URL], Math.floor(random() * 64)),
  );
  return characters.join("");
}

function withOtherCharacter(token: string, random: Random): string {
  const at = Math.floor(random() * token.length);
  const others = [...BASE64URL].filter((character) => character !== token[at]);
  const other = pick(others, Math.floor(random() * others.length));
  return token.slice(0, at) + other + token.slice(at + 1);
}

function pick<T>(items: readonly T[], index: number): T {
  const item = items[index % items.length];
  if (item === undefined) throw new RangeError("nothing to pick from");
  return item;
}

function none(): Intrusions {
  return { tokens: 0, gotIn: 0, refused: 0, errors: 0, kinds: {}, examples: [] };
}
