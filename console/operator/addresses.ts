/** Pages of Fly.io and Supabase about what a row is about. */

const LOCAL = /^https?:\/\/(127\.0\.0\.1|localhost|\[::1\]|[\w.-]+\.local)(:|\/|$)/;
const HOSTED = /^https:\/\/([a-z0-9]+)\.supabase\.co$/;

export interface Links {
  /** Null for a local stack, whose machines Fly.io does not know. */
  machine(app: string | null, flyMachineId: string | null): string | null;
  /** Null where the project is not hosted by Supabase. */
  user(userId: string): string | null;
}

export function linksOf(supabaseUrl: string): Links {
  const local = LOCAL.test(supabaseUrl);
  const [, project] = HOSTED.exec(supabaseUrl) ?? [];
  return {
    // As flyctl prints it: internal/command/machine/status.go
    machine: (app, id) =>
      local || app === null || id === null ? null : `https://fly.io/apps/${app}/machines/${id}`,
    // As Supabase's Studio links it.
    user: (userId) =>
      project === undefined
        ? null
        : `https://supabase.com/dashboard/project/${project}/auth/users?show=${userId}`,
  };
}
