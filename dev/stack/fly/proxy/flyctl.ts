/** What the operator of an organization does with flyctl, for tests and the local stack. */
import type { Address } from "../world/addresses.ts";
import type { App } from "../world/apps.ts";
import type { SecretValues } from "../world/secrets.ts";
import type { World } from "../world/world.ts";

/** `fly ips allocate-v4 --shared`, `fly ips allocate-v6` and the like. */
export function allocateAddress(world: World, app: string, type: Address["type"]): Address {
  const { id: appId } = existing(world, app);
  const now = world.now();
  return world.addresses.add({
    type,
    appId,
    region: type === "v6" ? "global" : "",
    serviceName: "",
    network: null,
    createdAtMs: now,
    listedAtMs: now,
  });
}

/** `fly secrets set`: for every Machine of the app that starts from now on. */
export function setSecrets(world: World, app: string, secrets: SecretValues): void {
  world.secrets.set(existing(world, app).id, secrets);
}

/** `fly orgs cross-network-replays enable`, or `disable`. */
export function allowCrossNetworkReplays(world: World, organization: string, allowed = true): void {
  world.organizations.get(organization).crossNetworkReplays = allowed;
}

/** `fly orgs replay-sources add`: apps of `source` may replay to apps of `target`. */
export function allowReplaySource(world: World, target: string, source: string): void {
  world.organizations.get(target).replaySources.add(source);
}

function existing(world: World, name: string): App {
  const app = world.app(name);
  if (app === undefined) throw new RangeError(`no app "${name}"`);
  return app;
}
