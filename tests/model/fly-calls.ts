/** What a call to Fly.io is about, from its method and path. */

/** `create`, `list`, `get`, … of machines; `app-create`, `app-get`, `address-list`, … of apps. */
export function flyAction(method: string, { pathname }: URL): string {
  const [, , root, app, part, id, verb] = pathname.split("/");
  if (root === "orgs") return "organization-machines";
  if (root === "platform") return "placements";
  if (app === undefined) return method === "POST" ? "app-create" : "app-list";
  if (part === undefined) return `app-${method.toLowerCase()}`;
  if (part === "ip_assignments") return method === "POST" ? "address-assign" : "address-list";
  if (part !== "machines") return pathname;
  if (id === undefined) return method === "POST" ? "create" : "list";
  return verb ?? method.toLowerCase();
}

/** The app of a call to apps or addresses, the machine of one to machines; null for the others. */
export function flySubject({ pathname }: URL): string | null {
  const [, , , app, part, id] = pathname.split("/");
  return part === "machines" ? id ?? null : app ?? null;
}
