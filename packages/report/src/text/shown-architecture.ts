/** The name of a network for people: of one that is described in full, layer by layer, what the description calls it. */
export function shownArchitecture(arch: string): string {
  if (!arch.trimStart().startsWith("{")) return arch;
  try {
    const { name } = JSON.parse(arch) as { name?: unknown };
    return typeof name === "string" ? `${name}, described in the file` : "a network described in the file";
  } catch {
    return arch;
  }
}
