/** Mistakes about Fly.io: token, organisation, apps, regions, image. */
import type { Mistake, World } from "./doctor-mistake.ts";
import { FLY_APP, FLY_TOKEN } from "./stack.ts";

const SHARED = {
  FLY_ORG_SLUG: undefined,
  MACHINE_AUTOSTOP: undefined,
  MACHINE_MAX_LIFETIME_HOURS: "720",
};

/** A token that the simulator knows besides the usual one. */
const token = (extra: Record<string, unknown>, slug = "personal") => ({
  file: { FLY_API_TOKEN: "fo1_of-a-mistake-0123456789", FLY_ORG_SLUG: slug },
  plant: ({ stack }: World) => {
    stack.simulator.setToken({ token: "fo1_of-a-mistake-0123456789", ...extra });
    return () => {};
  },
});

export const FLY_MISTAKES: readonly Mistake[] = [
  {
    name: "no token",
    file: { FLY_API_TOKEN: undefined },
    says: /^FLY_API_TOKEN is not set$/,
    fix: /^fly tokens create org/,
  },
  {
    name: "a token in quotes",
    file: { FLY_API_TOKEN: `'"${FLY_TOKEN}"'` },
    says: /^FLY_API_TOKEN is not valid: expected a token without quotes around it$/,
    fix: /fly tokens create org/,
  },
  {
    name: "a token with Bearer in front",
    file: { FLY_API_TOKEN: `Bearer ${FLY_TOKEN}` },
    says: /^FLY_API_TOKEN is not valid: .*Bearer/,
    fix: /fly tokens create org/,
  },
  {
    name: "a token that was cut",
    file: { FLY_API_TOKEN: FLY_TOKEN.slice(0, -6) },
    says: /^Fly\.io refuses FLY_API_TOKEN \(36 characters\): it was cut, has ended or was revoked$/,
    fix: /fly tokens create org --org personal --expiry 8760h, then .* secrets set/,
  },
  {
    name: "a token that has ended",
    ...token({ expiresAtMs: 1 }),
    says: /^Fly\.io refuses FLY_API_TOKEN/,
    fix: /fly tokens create org/,
  },
  {
    name: "another organisation's token",
    ...token({ organization: "another" }),
    says: /^FLY_API_TOKEN is for another, and FLY_ORG_SLUG is personal$/,
    fix: /fly tokens create org --org personal/,
  },
  {
    name: "a deploy token with an organisation",
    ...token({ apps: [FLY_APP] }),
    says: /^FLY_API_TOKEN is for single apps, and FLY_ORG_SLUG needs one that may make apps$/,
    fix: /fly tokens create org/,
  },
  {
    name: "a person's own token",
    ...token({ user: "someone@example.com" }),
    says: /^FLY_API_TOKEN is a person's own token/,
    fix: /fly tokens create org/,
  },
  {
    name: "an organisation that is not there",
    file: { FLY_ORG_SLUG: "nowhere" },
    says: /^FLY_API_TOKEN is for personal, and FLY_ORG_SLUG is nowhere$/,
    fix: /^fly orgs list, then .*FLY_ORG_SLUG/,
  },
  {
    name: "an app that does not exist",
    file: { ...SHARED, FLY_ROUTER_URL: "wss://router.example", FLY_APP_NAME: "no-such-app" },
    says: /^the Fly app no-such-app does not exist$/,
    fix: /^fly apps create no-such-app$/,
  },
  {
    name: "a stranger's app",
    file: { ...SHARED, FLY_ROUTER_URL: "wss://router.example", FLY_APP_NAME: "strangers" },
    plant: ({ stack }) => {
      stack.simulator.addApp("strangers", "another");
      return () => {};
    },
    says: /^the Fly app strangers is not this token's/,
    fix: /FLY_APP_NAME=<another name>/,
  },
  {
    name: "a router without an address",
    file: { FLY_ROUTER_URL: `wss://${FLY_APP}.fly.dev` },
    says: /^the Fly app test-app has no public address, so test-app\.fly\.dev leads nowhere$/,
    fix: /^fly ips allocate-v4 --shared --app test-app && fly ips allocate-v6/,
  },
  {
    name: "a shared app without a router",
    file: { ...SHARED, FLY_APP_NAME: "addressed" },
    plant: ({ stack }) => {
      const { id } = stack.simulator.addApp("addressed");
      const at = { createdAtMs: 0, listedAtMs: 0 };
      const rest = { region: "", serviceName: "", network: null, ...at };
      stack.simulator.world.addresses.add({ type: "shared_v4", appId: id, ...rest });
      return () => {};
    },
    says: /^neither FLY_ORG_SLUG nor FLY_ROUTER_URL is set/,
    fix: /FLY_ORG_SLUG=<organisation>/,
  },
  {
    name: "a retired region",
    file: { FLY_REGIONS: "iad,bom,ams" },
    says: /^the region bom is retired: no machine can be created there$/,
    fix: /FLY_REGIONS=iad,ams$/,
  },
  {
    name: "a region that there never was",
    file: { FLY_REGIONS: "iad,xyz" },
    says: /^Fly\.io has no region xyz$/,
    fix: /FLY_REGIONS=iad$/,
  },
  {
    name: "a default region that nobody may ask for",
    file: { FLY_REGIONS: "ams", FLY_REGION: "iad" },
    says: /^FLY_REGION is not valid: expected one of FLY_REGIONS$/,
    fix: /FLY_REGION=<value>/,
  },
  {
    name: "an image that was never pushed",
    file: ({ registry }) => ({ DOCKER_IMAGE: `${registry}/machine:typo` }),
    says: /^the image 127\.0\.0\.1:\d+\/machine:typo is not at its registry$/,
    fix: /^docker push .*machine:typo/,
  },
  {
    name: "an image that may not be read",
    file: ({ registry }) => ({ DOCKER_IMAGE: `${registry}/private/machine:1` }),
    says: /^the registry of .* does not let FLY_API_TOKEN read it$/,
    fix: /docker push/,
  },
];
