/** What a request asks Fly.io for: the same under each name that its row may get. */
import type { CompleteEnvironment, Settings } from "../config/environment.ts";
import { connectKeyOf } from "../connect/token.ts";
import type { FullRegion, ProvisioningMachine } from "../database/rows.ts";
import { ownerTags } from "../fly/identity.ts";
import type { RequestContext } from "../http/context.ts";
import type { ProvisionInput } from "./context.ts";
import { buildCreateBody, configuredPart, loggableBody } from "./machine-config.ts";
import type { ProvisionRequest } from "./parse-request.ts";

export class ProvisionInputs {
  private readonly releases: (() => void)[] = [];

  constructor(
    private readonly context: RequestContext,
    private readonly environment: CompleteEnvironment,
    private readonly wanted: ProvisionRequest,
    private readonly pace: Pick<ProvisionInput, "slotWaitMs" | "rate">,
    private readonly fullRegions: readonly FullRegion[],
  ) {}

  /** The input for the row as it is named now, which the log and the answer then name too. */
  async inputFor(row: ProvisioningMachine): Promise<ProvisionInput> {
    const { isolate: { runtime, redactor }, progress, log } = this.context;
    const { settings } = this.environment;
    progress.machineId = row.machine_id;
    log.identify({ machineId: row.machine_id });
    const { CONNECT_TOKEN_SECRET: secret } = settings;
    const connectKey = secret === undefined
      ? null
      : await connectKeyOf(runtime, { secret, machineId: row.machine_id });
    // Fly.io may repeat what it was sent; its texts are redacted as they arrive.
    this.releases.push(redactor.protect(connectKey === null ? [] : [connectKey]));
    const config = {
      ...configuredPart(settings),
      machineId: row.machine_id,
      userId: this.wanted.userId,
      region: row.region,
      cpuPriority: this.wanted.cpuPriority,
      connectKey,
      tags: ownerTags(settings.SUPABASE_URL, row.id),
    };
    const body = buildCreateBody(config);
    return {
      ...this.pace,
      row,
      inputFor: (renamed) => this.inputFor(renamed),
      body,
      loggableBody: loggableBody(body, config),
      ...regionsToTry(row.region, settings, this.fullRegions),
    };
  }

  /** Stops the redaction of the keys; nothing of the machine is logged after it. */
  release(): void {
    for (const release of this.releases) release();
  }
}

/** Those that take nothing at the moment come last; without fallback there is only one. */
function regionsToTry(
  region: string,
  settings: Settings,
  fullRegions: readonly FullRegion[],
): Pick<ProvisionInput, "regions" | "isFull"> {
  if (!settings.FLY_REGION_FALLBACK) {
    // Only a create shows whether one that was refused has recovered.
    const isFull = fullRegions.some((full) => full.region === region && full.reason === "no room");
    return { regions: [region], isFull };
  }
  const all = [region, ...settings.FLY_REGIONS.filter((other) => other !== region)];
  const isFull = (name: string) => fullRegions.some((full) => full.region === name);
  const [first = region, ...others] = [
    ...all.filter((name) => !isFull(name)),
    ...all.filter(isFull),
  ];
  return { regions: [first, ...others] };
}
