/**
 * All machines in one app, or in one of several. Its users share the app's secrets, its private
 * network and, without a router, its address.
 */
import { getApp } from "../fly/apps.ts";
import { hasNameOf } from "../fly/identity.ts";
import { destroyMachine, getMachine, listMachines, type MachineList } from "../fly/machines.ts";
import { FlyError } from "../fly/errors.ts";
import type { FlyContext, Hosting } from "./hosting.ts";

/** A deleted app has no machines. Each row still needs two sightings before it is written off. */
async function emptyIfDeleted(
  error: unknown,
  { fly, deadline }: Pick<FlyContext, "fly" | "deadline">,
  app: string,
): Promise<MachineList> {
  if (!(error instanceof FlyError) || !error.appIsUnknown) throw error;
  if (await getApp(fly, app, { deadline }) !== null) throw error;
  return { machines: [], complete: true };
}

/** `hasRouter`: connections go through a router app, so that each reaches its own machine. */
export function sharedApps(
  apps: string[],
  { addressTemplate, hasRouter }: { addressTemplate: string; hasRouter: boolean },
): Hosting {
  return {
    claim: { buckets: apps, ownApp: false, namePrefix: "machine" },
    addressTemplate,
    addressNote: null,

    // The app and its addresses are the operator's: docs/OPERATIONS.md has the commands.
    prepare: () => Promise.resolve("ready"),
    makeReachable: () => Promise.resolve(),
    isNotReadyYet: () => false,

    async list({ fly, deadline }, tag) {
      const lists = await Promise.all(apps.map(async (app) => {
        const { machines, complete } = await listMachines(fly, app, { deadline })
          .catch((error) => emptyIfDeleted(error, { fly, deadline }, app));
        const found = machines.filter(({ name }) => hasNameOf(tag, name)).map((machine) => ({
          key: machine.id,
          name: machine.name,
          app,
          createBucket: app,
          flyMachineId: machine.id,
          state: machine.state,
          createdAt: machine.created_at ?? null,
        }));
        return { found, complete };
      }));
      return {
        found: lists.flatMap(({ found }) => found),
        complete: lists.every(({ complete }) => complete),
      };
    },
    async confirm({ fly, deadline }, { app, name, key }) {
      const machine = await getMachine(fly, app, key, { deadline });
      return machine?.name === name && machine.state !== "destroyed";
    },
    destroyFound: ({ fly, deadline }, { app, key }) => destroyMachine(fly, app, key, { deadline }),
    async listLive(ownership, page, deadline) {
      const [app = ""] = apps;
      return await ownership.listLive({ app, ...page }, deadline);
    },

    async checkHealth({ fly, deadline }) {
      const checks = await Promise.all(apps.map(async (app) => {
        const name = `fly:${app}`;
        try {
          const found = await getApp(fly, app, { deadline });
          if (found) return { name, status: "pass" as const };
          return { name, status: "fail" as const, output: "Fly.io does not know this app" };
        } catch (error) {
          if (!(error instanceof FlyError)) throw error;
          return { name, status: "fail" as const, output: error.message };
        }
      }));
      return hasRouter ? checks : [...checks, {
        name: "fly:isolation",
        status: "warn" as const,
        output: "machines share an app and there is no router: a connection reaches any user's " +
          "machine; set FLY_ORG_SLUG or FLY_ROUTER_URL",
      }];
    },
  };
}
