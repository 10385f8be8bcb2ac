/** Data that a user's own module makes: `module:./calibration.mjs`. */
import { isPruneError, type Tensor, type Tensors, tensorDataset } from "@secateur/core";
import { badDataSpec, badModuleData, emptyDataset } from "../errors.ts";
import { nodeModule } from "../node-files.ts";
import type { DataSource, DatasetSplits, OpenRequest } from "../source.ts";

/** Numbers of all batches together: 1 GiB of f32. */
const mostNumbers = 2 ** 28;

/** A batch as modules give it: arrays [n, ...] by name. */
interface ModuleBatch {
  readonly inputs: Tensors;
  readonly targets?: Tensors;
}

/**
 * The batches of a module's default export, an async iterable or iterable of them or a function that returns one, joined: `{ inputs: { NAME: { shape: [n, ...],
 * data } }, targets? }`. One split serves for both uses. The module is run: it is the user's own program.
 */
export const moduleSource: DataSource = {
  name: "module",
  usages: ["module:FILE.mjs"],
  summary: "batches { inputs, targets? } of arrays by name that the default export of a module of yours yields",
  async open({ spec, argument, options }: OpenRequest): Promise<DatasetSplits> {
    if (!argument) throw badDataSpec({ found: spec, expected: "module:FILE.mjs" });
    if (options.normalize) {
      throw badDataSpec({ found: `a normalisation of ${spec}`, expected: "batches as they are; normalise them there" });
    }
    const batches = await batchesOf(argument);
    const parts = { inputs: new Map<string, Tensor[]>(), targets: new Map<string, Tensor[]>() };
    let numbers = 0;
    try {
      for await (const batch of batches) {
        numbers += addBatch(batch, parts, argument);
        if (numbers > mostNumbers) {
          throw badModuleData({
            path: argument,
            found: `more than ${mostNumbers} numbers`,
            expected: "fewer examples",
          });
        }
      }
    } catch (cause) {
      if (isPruneError(cause)) throw cause;
      throw badModuleData({ path: argument, found: `an error in it (${String(cause)})`, expected: "batches", cause });
    }
    if (parts.inputs.size === 0) throw emptyDataset(spec);
    const [inputs, targets] = [parts.inputs, parts.targets].map(joined) as [Tensors, Tensors];
    const dataset = tensorDataset({ name: spec, inputs, ...(parts.targets.size > 0 ? { targets } : {}) });
    return { name: spec, train: dataset, test: dataset, normalisation: { divisor: 1, mean: [0], std: [1] } };
  },
};

async function batchesOf(path: string): Promise<AsyncIterable<unknown> | Iterable<unknown>> {
  const { href } = nodeModule("node:url").pathToFileURL(path);
  const imported = (await import(/* @vite-ignore */ href).catch((cause: unknown) => {
    throw badModuleData({
      path,
      found: `a module that cannot be run (${String(cause)})`,
      expected: "one that can",
      cause,
    });
  })) as { readonly default?: unknown };
  const { default: exported } = imported;
  const made: unknown = typeof exported === "function" ? await exported() : exported;
  const isIterable =
    typeof made === "object" && made !== null && (Symbol.asyncIterator in made || Symbol.iterator in made);
  if (isIterable) return made as AsyncIterable<unknown>;
  const expected = "an iterable of batches, or a function that returns one";
  throw badModuleData({ path, found: "another default export", expected });
}

/** Keeps the arrays of a batch; returns how many numbers they are. */
function addBatch(
  batch: unknown,
  parts: Readonly<Record<"inputs" | "targets", Map<string, Tensor[]>>>,
  path: string,
): number {
  const refuse = (found: string, expected: string): never => {
    throw badModuleData({ path, found, expected });
  };
  const given = (typeof batch === "object" && batch !== null ? batch : {}) as Partial<ModuleBatch>;
  if (typeof given.inputs !== "object") refuse("a batch without inputs", "{ inputs: { NAME: { shape, data } } }");
  let [numbers, size] = [0, -1];
  for (const kind of ["inputs", "targets"] as const) {
    for (const [name, tensor] of Object.entries(given[kind] ?? {})) {
      const { shape, data } = tensor as Partial<Tensor>;
      const isArray = Array.isArray(shape) && ArrayBuffer.isView(data) && !(data instanceof DataView);
      if (!isArray) refuse(`'${name}' without shape and data`, "{ shape: [n, ...], data: a typed array }");
      const count = shape!.reduce((product, extent) => product * extent, 1);
      if (!shape!.every((extent) => Number.isInteger(extent) && extent >= 0) || count !== data!.length)
        refuse(`'${name}' of shape [${shape!.join(", ")}] with ${data!.length} numbers`, "as many as the shape says");
      if (size >= 0 && shape![0] !== size)
        refuse(`${shape![0]} examples of '${name}' beside ${size}`, "one number of them");
      size = shape![0]!;
      const before = parts[kind].get(name) ?? [];
      const isAlike = before.every(
        (one) => String(one.shape.slice(1)) === String(shape!.slice(1)) && one.data.constructor === data!.constructor,
      );
      if (!isAlike) refuse(`'${name}' of another shape or type than in an earlier batch`, "examples that are alike");
      parts[kind].set(name, [...before, { shape: shape!, data: data!.slice() } as Tensor]);
      numbers += count;
    }
  }
  const known = parts.inputs.values().next().value?.length ?? 0;
  const isSame = [...parts.inputs.values(), ...parts.targets.values()].every(({ length }) => length === known);
  if (!isSame) refuse("batches with different names", "the same names in every batch");
  return numbers;
}

function joined(parts: ReadonlyMap<string, readonly Tensor[]>): Tensors {
  return Object.fromEntries(
    [...parts].map(([name, tensors]) => {
      const [first] = tensors as [Tensor];
      const size = tensors.reduce((sum, { shape }) => sum + shape[0]!, 0);
      const length = tensors.reduce((sum, { data }) => sum + data.length, 0);
      const data = new (first.data.constructor as new (length: number) => Float32Array)(length);
      let at = 0;
      for (const part of tensors) {
        data.set(part.data as Float32Array, at);
        at += part.data.length;
      }
      return [name, { shape: [size, ...first.shape.slice(1)], data }];
    }),
  );
}
