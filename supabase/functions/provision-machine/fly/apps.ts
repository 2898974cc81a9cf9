/**
 * Apps of the Fly Machines API and what belongs to them: one call each, no retries, no policy.
 * https://fly.io/docs/machines/api/apps-resource/
 */
import { z } from "zod/v3";
import type { FlyClient } from "./client.ts";
import { FlyError } from "./errors.ts";
import type { CallOptions, FlyMachine } from "./machines.ts";
import { FlyMachine as FlyMachineSchema } from "./machines.ts";

/** The part of a Fly app that says whose it is. */
const FlyApp = z.object({
  name: z.string(),
  network: z.string().nullish(),
  organization: z.object({ slug: z.string() }).nullish(),
});
export type FlyApp = z.output<typeof FlyApp>;

export interface NewApp {
  name: string;
  orgSlug: string;
  /** A private network of its own: naming it makes it. */
  network: string;
  /** The same key with the same name gives the first app back; with another it is refused. */
  idempotencyKey: string;
}

export async function createApp(fly: FlyClient, app: NewApp, options: CallOptions): Promise<void> {
  await fly.request({
    method: "POST",
    path: "/apps",
    // The documentation says `app_name`, fly-go and the OpenAPI file `name`; both are taken.
    body: {
      app_name: app.name,
      name: app.name,
      org_slug: app.orgSlug,
      network: app.network,
      idempotency_key: app.idempotencyKey,
    },
    schema: z.unknown(),
    ...options,
  });
}

/** The app, or null when Fly.io does not know it. Throws {@link FlyError} 403 for a stranger's. */
export async function getApp(
  fly: FlyClient,
  name: string,
  options: CallOptions,
): Promise<FlyApp | null> {
  try {
    const path = appPath(name);
    return (await fly.request({ method: "GET", path, schema: FlyApp, ...options })).data;
  } catch (error) {
    if (error instanceof FlyError && error.status === 404) return null;
    throw error;
  }
}

/** Destroys the app with its machines and addresses. Also resolves when it is already gone. */
export async function deleteApp(
  fly: FlyClient,
  name: string,
  options: CallOptions,
): Promise<void> {
  try {
    await fly.request({
      method: "DELETE",
      path: appPath(name),
      query: { force: "true" },
      schema: z.unknown(),
      ...options,
    });
  } catch (error) {
    if (!(error instanceof FlyError) || error.status !== 404) throw error;
  }
}

export type AddressType = "shared_v4" | "v6";

/** The kinds of public addresses that the app has. The answer has no types: they are derived. */
export async function listAddressTypes(
  fly: FlyClient,
  app: string,
  options: CallOptions,
): Promise<Set<AddressType>> {
  const { data } = await fly.request({
    method: "GET",
    path: `${appPath(app)}/ip_assignments`,
    schema: z.object({
      ips: z.array(z.object({ ip: z.string(), shared: z.boolean().nullish() })).nullish(),
    }),
    ...options,
  });
  const found = new Set<AddressType>();
  for (const { ip, shared } of data.ips ?? []) {
    if (ip.includes(":") && !ip.startsWith("fdaa:")) found.add("v6");
    if (!ip.includes(":") && shared) found.add("shared_v4");
  }
  return found;
}

export async function assignAddress(
  fly: FlyClient,
  app: string,
  type: AddressType,
  options: CallOptions,
): Promise<void> {
  await fly.request({
    method: "POST",
    path: `${appPath(app)}/ip_assignments`,
    body: { type },
    schema: z.unknown(),
    ...options,
  });
}

/** The apps of an organisation. A new one may not be on the list yet. */
export async function listApps(
  fly: FlyClient,
  orgSlug: string,
  options: CallOptions,
): Promise<FlyApp[]> {
  const { data } = await fly.request({
    method: "GET",
    path: "/apps",
    query: { org_slug: orgSlug },
    schema: z.object({ apps: z.array(FlyApp.partial().passthrough()) }),
    ...options,
  });
  return data.apps.flatMap((app) => app.name === undefined ? [] : [{ ...app, name: app.name }]);
}

export interface OrgMachine extends FlyMachine {
  app_name: string;
}

/** A page of an organisation's machines. */
export interface OrgMachinePage {
  machines: OrgMachine[];
  /** False when a region did not answer or an element could not be read. */
  complete: boolean;
  /** Leads to the next page; null on the last. A page can be short or empty while more follow. */
  nextCursor: string | null;
}

const OrgPage = z.object({
  machines: z.array(z.unknown()).nullish(),
  next_cursor: z.string().nullish(),
  error_regions: z.array(z.unknown()).nullish(),
});
const OrgElement = FlyMachineSchema.extend({ app_name: z.string() });

/** `cursor`: of the page before; null for the first. */
export async function listOrgMachines(
  fly: FlyClient,
  { orgSlug, cursor }: { orgSlug: string; cursor: string | null },
  options: CallOptions,
): Promise<OrgMachinePage> {
  const { data } = await fly.request({
    method: "GET",
    path: `/orgs/${encodeURIComponent(orgSlug)}/machines`,
    query: { summary: "true", limit: "1000", ...(cursor === null ? {} : { cursor }) },
    schema: OrgPage,
    ...options,
  });
  const elements = data.machines ?? [];
  const machines = elements.flatMap((element) => {
    const parsed = OrgElement.safeParse(element);
    return parsed.success ? [parsed.data] : [];
  });
  const complete = machines.length === elements.length && (data.error_regions ?? []).length === 0;
  const nextCursor = data.next_cursor && data.next_cursor !== cursor ? data.next_cursor : null;
  return { machines, complete, nextCursor };
}

function appPath(name: string): string {
  return `/apps/${encodeURIComponent(name)}`;
}
