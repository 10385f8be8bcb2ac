/** Which network a checkpoint's tensors belong to: said by the user, by the file, or told from the tensors' shapes. */
import { denseStack, matchTensors, type ShapedName } from "@secateur/formats";
import { architecture, architectureNames, type NetworkSpec, tensorSpecs } from "@secateur/nn";
import { describedArchitecture, namedArchitecture } from "./described-architecture.ts";
import { architectureNeeded } from "./errors.ts";

/** The metadata key of our own checkpoints that names the network. */
export const architectureKey = "secateur.architecture";

/** A network and how it became known. */
export interface ResolvedArchitecture {
  /** What --arch would say, which tensor is which included. */
  readonly name: string;
  readonly spec: NetworkSpec;
  readonly source: "flag" | "metadata" | "shapes";
  /** Names of the file with those of the network, as the user gave them. */
  readonly map: readonly (readonly [found: string, expected: string])[];
}

/**
 * The network of a checkpoint: --arch first, then what the file says of itself, then the one built-in network that its
 * tensors fit, whatever they are called, then a stack of dense layers.
 *
 * @param spec.tensors - without counters that networks do not have
 * @throws ERR_UNKNOWN_NAME, ERR_ARCHITECTURE when nothing tells
 */
export async function resolveArchitecture(spec: {
  flag: string | undefined;
  path: string;
  tensors: readonly ShapedName[];
  metadata: Readonly<Record<string, string>>;
  /** The folder from which plugins are looked for. */
  from: string;
}): Promise<ResolvedArchitecture> {
  const { flag, path, tensors, metadata, from } = spec;
  const said = flag === undefined ? undefined : await describedArchitecture(flag, { from });
  if (flag !== undefined && said?.spec !== undefined) {
    return { name: flag, spec: said.spec, source: "flag", map: said.map };
  }
  const map = said?.map ?? [];
  const name = (arch: string): string =>
    map.length === 0 ? arch : JSON.stringify({ arch, map: Object.fromEntries(map) });
  const written = metadata[architectureKey];
  if (written !== undefined) {
    const own = await describedArchitecture(written, { from, where: `${path}: its metadata ${architectureKey}` });
    if (own.spec !== undefined) {
      const isOwn = map.length === 0;
      return { name: isOwn ? written : name(written), spec: own.spec, source: "metadata", map: isOwn ? own.map : map };
    }
  }
  const told = toldFromShapes(tensors, map);
  if (told === undefined) {
    throw architectureNeeded({ path, tensors: describeTensors(tensors), known: architectureNames });
  }
  return { name: name(told), spec: namedArchitecture(told), source: "shapes", map };
}

function toldFromShapes(tensors: readonly ShapedName[], map: ResolvedArchitecture["map"]): string | undefined {
  const fitting = architectureNames.filter((name) => {
    const expected = tensorSpecs(architecture(name));
    if (expected.length !== tensors.length) return false;
    const match = matchTensors({ found: tensors, expected, map });
    return match.missing.length === 0 && haveShapes(match.pairs, tensors, expected);
  });
  if (fitting.length > 0) return fitting.length === 1 ? fitting[0] : undefined;
  const stack = denseStack(tensors);
  return stack && `mlp:${stack.sizes.join("-")}${stack.bias ? "" : ":nobias"}`;
}

/** Equal names are matched whatever their shapes, so that a message can say which shape is wrong. */
function haveShapes(
  pairs: ReadonlyMap<string, string>,
  found: readonly ShapedName[],
  expected: readonly ShapedName[],
): boolean {
  const shapes = new Map(found.map(({ name, shape }) => [name, shape.join()]));
  return expected.every(({ name, shape }) => shapes.get(pairs.get(name) ?? "") === shape.join());
}

function describeTensors(tensors: readonly ShapedName[]): string {
  const shown = tensors.slice(0, 6).map(({ name, shape }) => `${name.slice(0, 100)} [${shape.join(", ")}]`);
  return (
    shown.join(", ") + (tensors.length > shown.length ? `, and ${tensors.length - shown.length} more` : "") || "none"
  );
}
