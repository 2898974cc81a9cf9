import type { TestName } from "../mutation-tests.ts";

/** A deliberate bug, as an exact replacement in one file. */
export interface Mutation {
  name: string;
  file: string;
  from: string;
  to: string;
  /** The tests that are run against it; at least one has to notice. */
  tests: TestName[];
}

export const FUNCTION = "supabase/functions/provision-machine";
export const MIGRATIONS = "supabase/migrations";
