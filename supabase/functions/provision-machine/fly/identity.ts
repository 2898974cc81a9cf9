/**
 * Whose machine is it? Its name proves that, since it cannot be changed from inside the machine: it
 * carries the tag of our database, or stands in a row. Metadata can be rewritten without a token
 * (https://fly.io/docs/machines/runtime-environment/#the-machine-api-socket), so it proves nothing;
 * it is written for people who read Fly.io's dashboard.
 */

/** Metadata of a Fly machine that says where it comes from. */
export type OwnerTags = Record<string, string>;

export function ownerTags(supabaseUrl: string, rowId: string): OwnerTags {
  return {
    managed_by: "provision-machine",
    supabase_project: new URL(supabaseUrl).host,
    cloud_machine_id: rowId,
  };
}

/** Whether a machine's name was made by the database with this tag. */
export function hasNameOf(tag: string, machineName: string): boolean {
  return machineName.split("-").at(-2) === tag;
}
