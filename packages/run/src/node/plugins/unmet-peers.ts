import { findPackage, type PackageManifest } from "./package-manifest.ts";

/** A package that a plugin asks for beside it, and what is there in its place. */
export interface UnmetPeer {
  readonly peer: string;
  readonly range: string;
  /** The version found; undefined when there is none. */
  readonly found: string | undefined;
}

/** The peers of a package that are missing, or whose version is out of range, as its own imports would find them. */
export async function unmetPeers({ folder, peers }: PackageManifest): Promise<readonly UnmetPeer[]> {
  const unmet: UnmetPeer[] = [];
  // Loaded where something did not load: its twenty modules are no part of a run that goes well.
  const { default: satisfies } = await import("semver/functions/satisfies.js");
  for (const [peer, range] of Object.entries(peers)) {
    const found = (await findPackage(peer, folder))?.version;
    if (found === undefined || !satisfies(found, range, { includePrerelease: true }))
      unmet.push({ peer, range, found });
  }
  return unmet;
}
