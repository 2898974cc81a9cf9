/** What a request asks Fly.io for: the same under each name that its row may get. */
import type { CompleteEnvironment, Settings } from "../config/environment.ts";
import { connectKeyOf } from "../connect/token.ts";
import type { ProvisioningMachine } from "../database/rows.ts";
import { ownerTags } from "../fly/identity.ts";
import type { RequestContext } from "../http/context.ts";
import type { ProvisionInput } from "./context.ts";
import { buildCreateBody, loggableBody } from "./machine-config.ts";
import type { ProvisionRequest } from "./parse-request.ts";

export class ProvisionInputs {
  private readonly releases: (() => void)[] = [];

  constructor(
    private readonly context: RequestContext,
    private readonly environment: CompleteEnvironment,
    private readonly wanted: ProvisionRequest,
    private readonly pace: Pick<ProvisionInput, "slotWaitMs" | "rate">,
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
      machineId: row.machine_id,
      userId: this.wanted.userId,
      region: row.region,
      cpuPriority: this.wanted.cpuPriority,
      image: settings.DOCKER_IMAGE,
      port: settings.MACHINE_PORT,
      autostop: settings.MACHINE_AUTOSTOP,
      extraEnv: settings.MACHINE_ENV,
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
      regions: regionsToTry(row.region, settings),
    };
  }

  /** Stops the redaction of the keys; nothing of the machine is logged after it. */
  release(): void {
    for (const release of this.releases) release();
  }
}

function regionsToTry(region: string, settings: Settings): [string, ...string[]] {
  if (!settings.FLY_REGION_FALLBACK) return [region];
  return [region, ...settings.FLY_REGIONS.filter((other) => other !== region)];
}
