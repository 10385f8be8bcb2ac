/** What can be wrong with the description of a network, or with tensors for it, one factory each. Codes are stable; messages may improve. */
import { PruneError } from "@secateur/core";

/** The checkpoint holds tensors only and nothing tells which network they belong to. */
export function architectureNeeded(spec: { path: string; tensors: string; known: readonly string[] }): PruneError {
  return new PruneError(
    "ERR_ARCHITECTURE",
    `${spec.path}: it holds only tensors (${spec.tensors}) and they fit no built-in network by themselves; ` +
      `say which one with --arch: ${spec.known.join(", ")}, mlp:SIZES such as mlp:784-300-10, or a file such as net.json ` +
      "that describes its layers (its keys are in docs/cli.md); any other network can be given as an ONNX model, which describes itself (torch.onnx.export " +
      "writes one in PyTorch), or as a TensorFlow.js model.json",
    { details: spec },
  );
}

/** A text such as "mlp:784-x" that describes no network. @param spec.where - what it comes from */
export function badArchitecture(spec: { where: string; found: string; cause?: unknown }): PruneError {
  const { where, found, cause } = spec;
  return new PruneError(
    "ERR_ARCHITECTURE",
    `${where}: '${found.slice(0, 200)}' describes no network; allowed is mlp:SIZES with two or more whole numbers joined by '-', ` +
      "and ':nobias' after them for layers without bias, such as mlp:784-40-20-10:nobias, or JSON with name, inputShape, classes and layers",
    { cause, details: { where, found } },
  );
}

/** A layer of a network that is given as data. */
export function badLayer(spec: { where: string; l: number; problem: string; allowed: string }): PruneError {
  const { where, l, problem, allowed } = spec;
  return new PruneError("ERR_ARCHITECTURE", `${where}: layers[${l}]: ${problem}; ${allowed}`, { details: spec });
}

/** A network that would not fit into memory. */
export function largeArchitecture(spec: { where: string; found: string; count: number; limit: number }): PruneError {
  const { where, found, count, limit } = spec;
  return new PruneError(
    "ERR_ARCHITECTURE",
    `${where}: '${found.slice(0, 200)}' has ${count} parameters, allowed are at most ${limit}; make its layers smaller`,
    { details: spec },
  );
}

/** Tensors of a file that several of a network's could be. Paths of modules. */
export function ambiguousTensors(spec: {
  path: string;
  network: string;
  ambiguous: readonly { readonly expected: string; readonly found: readonly string[] }[];
}): PruneError {
  const { path, network, ambiguous } = spec;
  const list = ambiguous.slice(0, 4).map(({ expected, found }) => {
    const names = found.slice(0, 4).map((name) => `'${name.slice(0, 60)}'`);
    return `'${expected}' may be ${names.join(" or ")}${found.length > 4 ? ` or ${found.length - 4} others` : ""}`;
  });
  const more = ambiguous.length > 4 ? `, and ${ambiguous.length - 4} more` : "";
  const [first] = ambiguous;
  return new PruneError(
    "ERR_TENSOR_NAMES",
    `${path}: its shapes do not tell which tensor is which of '${network}': ${list.join("; ")}${more}; ` +
      `say it with --map, such as --map '${first?.found[0]?.slice(0, 60)}=${first?.expected}'`,
    { details: spec },
  );
}

/** Whole numbers where weights belong: quantised ones, whose scale is not in the file. */
export function integerWeights(spec: { path: string; tensor: string; dtype: string }): PruneError {
  const { path, tensor, dtype } = spec;
  return new PruneError(
    "ERR_DTYPE",
    `${path}: tensor '${tensor.slice(0, 100)}' holds ${dtype} numbers where weights belong, and no scale; ` +
      "convert the network to floating point before, for example with dequantize() in PyTorch",
    { details: spec },
  );
}
