/** The DATA argument: NAME, or NAME:PATH[,PATH...]. */

/** Applies a function to the paths in a data argument: "npy:X.npy,Y.npy" has two, "mnist" none. */
export function mapDataPaths(data: string, map: (path: string) => string): string {
  const colon = data.indexOf(":");
  if (colon < 0) return data;
  const paths = data.slice(colon + 1).split(",");
  return `${data.slice(0, colon)}:${paths.map((path) => (path === "" ? path : map(path))).join(",")}`;
}
