/** Migrations of a small schema that exercises what the local stack promises. */
export const NOTES_MIGRATION = `
create table public.notes (
  id uuid primary key default gen_random_uuid(),
  owner uuid references auth.users (id) on delete set null,
  body text not null constraint body_is_short check (length(body) < 10)
);
alter table public.notes enable row level security;
create policy owner_does_all on public.notes for all to authenticated
  using ((select auth.uid()) = owner) with check ((select auth.uid()) = owner);
revoke update on public.notes from authenticated;
revoke all on public.notes from anon;

create function public.add_note(body text) returns uuid
language plpgsql security definer set search_path = '' as $$
declare added uuid;
begin
  insert into public.notes (body) values (add_note.body) returning id into added;
  if body = 'refuse' then
    raise exception 'refused' using hint = 'say something else';
  end if;
  return added;
end $$;
revoke execute on function public.add_note from public, anon, authenticated;
`;

/** A directory of migrations, removed when disposed. */
export interface MigrationsDirectory extends AsyncDisposable {
  url: URL;
  write(file: string, sql: string): Promise<void>;
}

/** @param files file name to SQL */
export async function migrationsDirectory(
  files: Record<string, string> = { "20260101000000_notes.sql": NOTES_MIGRATION },
): Promise<MigrationsDirectory> {
  const path = await Deno.makeTempDir({ prefix: "migrations-" });
  const url = new URL(`file://${path}/`);
  const write = (file: string, sql: string) => Deno.writeTextFile(new URL(file, url), sql);
  for (const [file, sql] of Object.entries(files)) await write(file, sql);
  return {
    url,
    write,
    [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }),
  };
}
