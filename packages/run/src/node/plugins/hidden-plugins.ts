import { firstPartyPlugin } from "./first-party.ts";
import type { PackageManifest } from "./package-manifest.ts";

/** Says that a name means one package and could have meant others. */
export function hiddenNote(spec: { name: string; by: string; hidden: readonly string[] }): string {
  const { name, by, hidden } = spec;
  const others = hidden.map((other) => {
    // Of a package of the very name nothing else can be typed.
    if (other === name)
      return `the package '${other}' has the same name and cannot be reached: uninstall one of the two`;
    return `'${other}' has the same name and is reached by its package's name: ${other}`;
  });
  return `'${name}' is that of ${by}; ${others.join("; ")}`;
}

/** Why an installed plugin is not found by its short name: one of our own methods has that name. */
export async function hiddenByOwn({ name }: PackageManifest): Promise<string | undefined> {
  const short = name.replace(/^secateur-plugin-/, "");
  if (short === name) return undefined;
  const own = await firstPartyPlugin(short, short);
  return own && hiddenNote({ name: short, by: own.packageName, hidden: [name] });
}
