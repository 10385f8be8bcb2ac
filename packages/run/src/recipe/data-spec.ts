/** The DATA argument: NAME, or NAME:PATH[,PATH...]; files that end in .npy may come without "npy:". */

/** Applies a function to the paths in a data argument: "npy:X.npy,Y.npy" and "X.npy,Y.npy" have two, "mnist" none. What comes back names its source. */
export function mapDataPaths(given: string, map: (path: string) => string): string {
  const [, ending = ""] = (given.includes(":") ? undefined : /\.(npy|npz|mjs)$/i.exec(given)) ?? [];
  const data = ending === "" ? given : `${ending.toLowerCase().replace("mjs", "module")}:${given}`;
  const colon = data.indexOf(":");
  if (colon < 0) return data;
  const paths = data.slice(colon + 1).split(",");
  const mapped = paths.map((part) => {
    // An array of .npy files may have a name before it.
    const [, name = "", path = part] = (/^npy:/.test(data) && /^([^/\\=]+=)(.+)$/s.exec(part)) || [];
    return path === "" ? path : name + map(path);
  });
  return `${data.slice(0, colon)}:${mapped.join(",")}`;
}
