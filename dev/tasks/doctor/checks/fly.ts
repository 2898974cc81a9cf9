/** Fly.io: what the token is, and whether organisation, apps, addresses and regions are there. */
import {
  getApp,
  listAddressTypes,
  listApps,
} from "../../../../supabase/functions/provision-machine/fly/apps.ts";
import type { FlyClient } from "../../../../supabase/functions/provision-machine/fly/client.ts";
import { FlyError } from "../../../../supabase/functions/provision-machine/fly/errors.ts";
import { Deadline } from "../../../../supabase/functions/provision-machine/time.ts";
import {
  type Check,
  type Problem,
  reasonOf,
  setCommand,
  type Skipped,
  type Subject,
} from "../check.ts";
import { currentTokens, type FlyToken, platformRegions } from "../fly-reads.ts";

const LIMIT_MS = 10_000;
const NO_TOKEN: Skipped = { skipped: "FLY_API_TOKEN is missing or not valid" };

function within({ clock }: Subject): { deadline: Deadline } {
  return { deadline: Deadline.after(clock, LIMIT_MS) };
}

function newToken(slug: string | undefined): string {
  return `fly tokens create org --org ${slug ?? "<organisation>"} --expiry 8760h, then ` +
    setCommand("--env-file <file>");
}

/** Its end cannot be seen: the API does not tell, and Fly.io refuses a token that has ended. */
export const TOKEN: Check = {
  name: "Fly.io token",
  async run(subject) {
    const { fly, environment: { settings } } = subject;
    if (fly === null) return NO_TOKEN;
    const slug = settings.FLY_ORG_SLUG;
    let tokens: FlyToken[];
    try {
      tokens = await currentTokens(fly, within(subject).deadline);
    } catch (error) {
      const status = error instanceof FlyError ? error.status : undefined;
      return [
        status === 401 || status === 403
          ? {
            says: `Fly.io refuses FLY_API_TOKEN (${settings.FLY_API_TOKEN?.length} characters): ` +
              "it was cut, has ended or was revoked",
            fix: newToken(slug),
          }
          : {
            says: `Fly.io cannot be asked about the token: ${reasonOf(error)}`,
            fix: "https://status.flyio.net",
          },
      ];
    }
    return tokenProblems(tokens, slug);
  },
};

function tokenProblems(tokens: FlyToken[], slug: string | undefined): Problem[] {
  const found: Problem[] = [];
  const fix = newToken(slug);
  if (tokens.some(({ restricted_to_machine: only }) => only !== null && only !== undefined)) {
    found.push({ says: "FLY_API_TOKEN may be used by one machine only", fix });
  }
  if (tokens.some(({ user }) => user !== null && user !== undefined)) {
    found.push({
      says: "FLY_API_TOKEN is a person's own token, which reaches all that person's organisations",
      fix,
    });
  }
  if (slug === undefined) return found;
  const ofOrganization = tokens.filter(({ org_slug }) => org_slug === slug);
  if (ofOrganization.length === 0) {
    const others = [...new Set(tokens.map(({ org_slug }) => org_slug ?? "no organisation"))];
    found.push({
      says: `FLY_API_TOKEN is for ${others.join(", ")}, and FLY_ORG_SLUG is ${slug}`,
      fix: `fly orgs list, then ${setCommand("FLY_ORG_SLUG=<slug>")}; or ${fix}`,
    });
  } else if (ofOrganization.every(({ apps }) => (apps ?? []).length > 0)) {
    found.push({
      says: "FLY_API_TOKEN is for single apps, and FLY_ORG_SLUG needs one that may make apps",
      fix,
    });
  }
  return found;
}

export const APPS: Check = {
  name: "Fly.io apps and addresses",
  async run(subject) {
    const { fly, environment: { settings } } = subject;
    if (fly === null) return NO_TOKEN;
    const { FLY_ORG_SLUG: slug, FLY_APP_NAME: names = [], FLY_ROUTER_URL: router } = settings;
    const found: Problem[] = [];
    if (slug !== undefined) found.push(...await organizationProblems(subject, fly, slug));
    else {
      for (const name of names) {
        found.push(...await appProblems(subject, fly, name, router === undefined));
      }
    }
    const routerApp = /^wss?:\/\/([a-z0-9-]+)\.fly\.dev/.exec(router ?? "")?.[1];
    if (routerApp !== undefined) found.push(...await appProblems(subject, fly, routerApp, true));
    return found;
  },
};

async function organizationProblems(
  subject: Subject,
  fly: FlyClient,
  slug: string,
): Promise<Problem[]> {
  try {
    await listApps(fly, slug, within(subject));
    return [];
  } catch (error) {
    // A refused token is one problem, not two.
    const refused = error instanceof FlyError && (error.status === 401 || error.status === 403);
    const known = refused ? await TOKEN.run(subject) : [];
    if ("skipped" in known || known.length > 0) return [];
    return [{
      says: `the organisation ${slug} is not there for this token: ${reasonOf(error)}`,
      fix: `fly orgs list, then ${setCommand("FLY_ORG_SLUG=<slug>")}`,
    }];
  }
}

async function appProblems(
  subject: Subject,
  fly: FlyClient,
  name: string,
  needsAddress: boolean,
): Promise<Problem[]> {
  try {
    if (await getApp(fly, name, within(subject)) === null) {
      return [{ says: `the Fly app ${name} does not exist`, fix: `fly apps create ${name}` }];
    }
    if (!needsAddress || (await listAddressTypes(fly, name, within(subject))).size > 0) return [];
    return [{
      says: `the Fly app ${name} has no public address, so ${name}.fly.dev leads nowhere`,
      fix: `fly ips allocate-v4 --shared --app ${name} && fly ips allocate-v6 --app ${name}`,
    }];
  } catch (error) {
    const isForeign = error instanceof FlyError && error.status === 403;
    return [{
      says: isForeign
        ? `the Fly app ${name} is not this token's: another organisation has the name`
        : `the Fly app ${name} cannot be read: ${reasonOf(error)}`,
      fix: isForeign ? setCommand("FLY_APP_NAME=<another name>") : "https://status.flyio.net",
    }];
  }
}

export const REGIONS: Check = {
  name: "Fly.io regions",
  async run(subject) {
    const { fly, environment: { settings: { FLY_REGIONS: chosen = [] } } } = subject;
    if (fly === null) return NO_TOKEN;
    let known: Map<string, { retired: boolean }>;
    try {
      known = await platformRegions(fly, within(subject).deadline);
    } catch (error) {
      return { skipped: `Fly.io's list of regions: ${reasonOf(error)}` };
    }
    const usable = (code: string) => known.get(code)?.retired === false;
    const fix = setCommand(`FLY_REGIONS=${chosen.filter(usable).join(",") || "iad"}`);
    return chosen.filter((code) => !usable(code)).map((code) => ({
      says: known.has(code)
        ? `the region ${code} is retired: no machine can be created there`
        : `Fly.io has no region ${code}`,
      fix,
    }));
  },
};
