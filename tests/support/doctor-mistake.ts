/** What a planted mistake of `deno task doctor` is. */
import type { Stack } from "./stack.ts";

export type Variables = Record<string, string | undefined>;

export interface World {
  stack: Stack;
  registry: string;
}

/** A mistake, and the only thing that the doctor may say of it. */
export interface Mistake {
  name: string;
  /** Variables of the file of settings; undefined leaves one out. */
  file?: Variables | ((world: World) => Variables);
  /** What is wrong elsewhere; the function returned takes it back. */
  plant?: (world: World) => () => void;
  auth?: Record<string, unknown>;
  says: RegExp;
  fix: RegExp;
}

export const SOUND_AUTH = {
  external: { anonymous_users: false },
  disable_signup: false,
  mailer_autoconfirm: false,
};
