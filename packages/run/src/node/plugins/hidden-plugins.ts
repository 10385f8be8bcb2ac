import { firstPartyPlugin } from "./first-party.ts";
import type { PackageManifest } from "./package-manifest.ts";

/** Says that a name means one package and could have meant others. */
export function hiddenNote(spec: { name: string; by: string; hidden: readonly string[] }): string {
  const { name, by, hidden } = spec;
  const others = hidden.map((other) => `'${other}' has the same name and is reached as ${other}:${name}`);
  return `'${name}' is that of ${by}; ${others.join("; ")}`;
}

/** Why an installed plugin is not found by its short name: one of our own methods has that name. */
export async function hiddenByOwn({ name }: PackageManifest): Promise<string | undefined> {
  const short = name.replace(/^secateur-plugin-/, "");
  if (short === name) return undefined;
  const own = await firstPartyPlugin(short, () => true);
  return own && hiddenNote({ name: short, by: own.packageName, hidden: [name] });
}
