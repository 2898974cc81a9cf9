/** How a Fly machine says whose it is: metadata that is written when it is created. */

/** Marks every machine of this function, of any project. */
const MANAGED_BY = "provision-machine";

/** Metadata of a Fly machine that identifies its owner. */
export type OwnerTags = Record<string, string>;

/**
 * Metadata that only the machine of one row carries. The project is part of it because several
 * projects may share a Fly app, and none may ever destroy a machine of another.
 */
export function ownerTags(supabaseUrl: string, rowId: string): OwnerTags {
  return { ...projectTags(supabaseUrl), cloud_machine_id: rowId };
}

/** Metadata that every machine of one Supabase project carries. */
export function projectTags(supabaseUrl: string): OwnerTags {
  return { managed_by: MANAGED_BY, supabase_project: new URL(supabaseUrl).host };
}
