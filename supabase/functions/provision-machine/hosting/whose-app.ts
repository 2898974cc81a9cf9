/**
 * Whose is an app? Names of apps are one namespace for all of Fly.io, so a name alone proves nothing:
 * our organisation, a network of the app's name and the name in our row do together.
 */
import type { CloudMachine } from "../database/rows.ts";
import type { FlyApp } from "../fly/apps.ts";

const PREFIX = "org:";

/** What the creates of an organisation are paced with; it stands in every row of them. */
export function bucketOf(orgSlug: string): string {
  return `${PREFIX}${orgSlug}`;
}

/** The organisation that the row's app was made in, whatever the settings are now. */
export function organizationOf(
  { create_bucket: bucket }: Pick<CloudMachine, "create_bucket">,
): string | null {
  return bucket?.startsWith(PREFIX) ? bucket.slice(PREFIX.length) : null;
}

/** Whether this is the app that we made under `name` in `organization`. */
export function isOurApp(
  app: FlyApp | null,
  { name, organization }: { name: string; organization: string | null },
): boolean {
  return app?.name === name && app.network === name && organization !== null &&
    app.organization?.slug === organization;
}
