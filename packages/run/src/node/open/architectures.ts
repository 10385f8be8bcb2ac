/** Which network a checkpoint's tensors belong to: said by the user, by the file, or told from the tensors' shapes. */
import { isPruneError, parseOptions, unknownName } from "@secateur/core";
import { architecture, architectureNames, mlp, type NetworkSpec, tensorSpecs } from "@secateur/nn";
import { architectureNeeded, badArchitecture } from "../../errors.ts";
import { findEntry } from "../plugins/find-entry.ts";

/** The metadata key of our own checkpoints that names the network. */
export const architectureKey = "secateur.architecture";

/** A network and how it became known. */
export interface ResolvedArchitecture {
  /** What --arch would say. */
  readonly name: string;
  readonly spec: NetworkSpec;
  readonly source: "flag" | "metadata" | "shapes";
}

/**
 * A network by the name that --arch takes: a built-in one, or `mlp:784-300-10` (dense layers fc1, fc2, ... with ReLU
 * between them; `:nobias` after the sizes leaves the biases out).
 *
 * @throws ERR_UNKNOWN_NAME, ERR_ARCHITECTURE
 */
export function namedArchitecture(name: string): NetworkSpec {
  if (/^mlp(:|$)/.test(name)) return perceptron(name);
  if (!architectureNames.includes(name)) {
    throw unknownName({ where: "--arch", what: "network", found: name, known: [...architectureNames, "mlp:SIZES"] });
  }
  return architecture(name);
}

/**
 * A network by name, of ours or of a plugin.
 *
 * @param from - the folder from which plugins are looked for
 * @throws as namedArchitecture, and what is wrong with a plugin
 */
export async function findArchitecture(name: string, from: string): Promise<NetworkSpec> {
  if (/^mlp(:|$)/.test(name) || architectureNames.includes(name)) return namedArchitecture(name);
  try {
    const { entry } = await findEntry({ name, from, kinds: ["architecture"] });
    return entry.create((await parseOptions(name, entry.options, {})) as never) as NetworkSpec;
  } catch (error) {
    if (isPruneError(error) && error.code === "ERR_UNKNOWN_NAME") return namedArchitecture(name); // refuses it in its own words
    throw error;
  }
}

function perceptron(name: string): NetworkSpec {
  const match = /^mlp:([1-9]\d{0,8}(?:-[1-9]\d{0,8})+)(:nobias)?$/.exec(name);
  if (!match) throw badArchitecture(name);
  const sizes = match[1]!.split("-").map(Number);
  return mlp({ name, sizes, bias: match[2] === undefined });
}

/**
 * The network of a checkpoint: --arch first, then what the file says of itself, then the one built-in network whose
 * tensors have exactly these names and shapes.
 *
 * @throws ERR_UNKNOWN_NAME, ERR_ARCHITECTURE when nothing tells
 */
export async function resolveArchitecture(spec: {
  flag: string | undefined;
  path: string;
  tensors: readonly { readonly name: string; readonly shape: readonly number[] }[];
  metadata: Readonly<Record<string, string>>;
  /** The folder from which plugins are looked for. */
  from: string;
}): Promise<ResolvedArchitecture> {
  const { flag, path, tensors, metadata, from } = spec;
  if (flag !== undefined) return { name: flag, spec: await findArchitecture(flag, from), source: "flag" };
  const written = metadata[architectureKey];
  if (written !== undefined) return { name: written, spec: await findArchitecture(written, from), source: "metadata" };
  // PyTorch counts batches beside running statistics; networks here have no such tensor.
  const named = tensors.filter((tensor) => !tensor.name.endsWith(".num_batches_tracked"));
  const fitting = architectureNames.filter((name) => signature(tensorSpecs(architecture(name))) === signature(named));
  const [name] = fitting;
  if (name !== undefined && fitting.length === 1) return { name, spec: architecture(name), source: "shapes" };
  throw architectureNeeded({ path, tensors: describeTensors(tensors), known: architectureNames });
}

function signature(tensors: readonly { readonly name: string; readonly shape: readonly number[] }[]): string {
  return JSON.stringify(
    tensors.map(({ name, shape }) => [name, shape]).sort((a, b) => (String(a[0]) < String(b[0]) ? -1 : 1)),
  );
}

function describeTensors(tensors: readonly { readonly name: string; readonly shape: readonly number[] }[]): string {
  const shown = tensors.slice(0, 6).map(({ name, shape }) => `${quoted(name)} [${shape.join(", ")}]`);
  return (
    shown.join(", ") + (tensors.length > shown.length ? `, and ${tensors.length - shown.length} more` : "") || "none"
  );
}

/** A name from a file cannot steer a terminal. */
function quoted(name: string): string {
  return name.replace(/[\p{Cc}\p{Cf}]/gu, (char) => `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`);
}
