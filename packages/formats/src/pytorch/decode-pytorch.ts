/**
 * PyTorch checkpoints of both layouts: the zip archive that torch.save writes since version 1.6, and the stream of pickles
 * before it. Only tensors in dictionaries are read. Source: torch/serialization.py and torch/_utils.py (pytorch/pytorch).
 */
import { type ArrayOfDtype, bytesPerElement, elementsFrom, type TensorDtype } from "../dtype.ts";
import { badPytorch } from "../errors.ts";
import { MAX_SHARING } from "../limits.ts";
import { cleanCheckpoint } from "../names/clean-checkpoint.ts";
import type { Pickle } from "../pickle/read-pickle.ts";
import type { Checkpoint, NamedTensor } from "../tensor.ts";
import { quote } from "../text/quote.ts";
import type { PytorchFile } from "./pytorch-file.ts";
import { foreignGlobals, refuseHostile, someOf } from "./pytorch-globals.ts";
import { findStateDict, type StateDict } from "./pytorch-state-dict.ts";
import { openPytorchStream } from "./pytorch-stream.ts";
import type { TensorRecipe } from "./pytorch-tensor.ts";
import { openPytorchZip } from "./pytorch-zip.ts";
import { copyRowMajor, isRowMajor } from "./strided.ts";

/**
 * Reads a whole PyTorch checkpoint (.pt, .pth, .ckpt, .pth.tar) of the zip layout. The pickle in it is read as inert
 * data: nothing is imported or executed.
 *
 * Tensors may be nested in dictionaries at any depth; a well-known key such as 'state_dict' or 'model' decides where
 * several hold some, and names and masks are cleaned (`cleanCheckpoint`). Optimizers and the like are left out, and `notes`
 * says what was. Tensors that share their elements have the same view as `data`. Contiguous tensors are views of `bytes` where aligned; others are copied. At most the size of
 * the file is allocated for storages that are not aligned, and as much for tensors that are not contiguous.
 *
 * @param bytes - the whole file
 * @param source - name of the file, for messages; default "PyTorch data"
 * @returns tensors in the order of their dictionary
 * @throws ERR_PYTORCH when the file is truncated, damaged, inconsistent or holds no tensors in dictionaries;
 * ERR_PYTORCH_UNSAFE when unpickling it would run programs; ERR_DTYPE for element types that are not read
 */
export function decodePytorchZip(bytes: Uint8Array, source: string = "PyTorch data"): Checkpoint {
  return cleanCheckpoint(readPytorchZip(bytes, source), source);
}

/** The same for the bytes of a file in the layout before version 1.6: see `decodePytorchZip`. */
export function decodePytorchStream(bytes: Uint8Array, source: string = "PyTorch data"): Checkpoint {
  return cleanCheckpoint(readPytorchStream(bytes, source), source);
}

/** The same with names and masks as they are stored. */
export function readPytorchZip(bytes: Uint8Array, source: string): Checkpoint {
  return decode({ bytes, source, format: "pytorch-zip", file: openPytorchZip(bytes, source) });
}

/** The same with names and masks as they are stored. */
export function readPytorchStream(bytes: Uint8Array, source: string): Checkpoint {
  return decode({ bytes, source, format: "pytorch-pickle", file: openPytorchStream(bytes, source) });
}

function decode(spec: { bytes: Uint8Array; source: string; format: string; file: PytorchFile }): Checkpoint {
  const { bytes, source, format, file } = spec;
  const { pickle } = file;
  refuseHostile(pickle.globals, source);
  const state = findStateDict(pickle.value, { source, bytes: pickle.bytes });
  if (state.tensors.size === 0) throw withoutTensors(pickle, source);
  refuseSharing([...state.tensors.values()], { bytes: bytes.length, source });
  const elements = elementReader(file);
  const copies = { bytes: 0, limit: bytes.length };
  const views = new Map<string, ArrayOfDtype[TensorDtype]>();
  const stored = [...state.tensors].map(([name, recipe]) => {
    const id = viewId(recipe);
    const data =
      views.get(id) ??
      tensorElements(recipe, { stored: elements(recipe), copies, where: `the tensor ${quote(name)}`, source });
    views.set(id, data);
    // elementsFrom ties the class of the data to the dtype, which a union of dtypes cannot express.
    return { name, dtype: recipe.dtype, shape: recipe.layout.shape, data } as NamedTensor;
  });
  const note = leftOut(state, pickle);
  return { format, tensors: stored, metadata: {}, ...(note === undefined ? {} : { notes: [note] }) };
}

/** What two tensors have in common that are one: the same elements in the same order. */
function viewId({ storage, dtype, layout, isNegated }: TensorRecipe): string {
  return `${isNegated ? "-" : ""}${dtype} ${layout.offset} ${layout.shape.join()} ${layout.strides.join()} ${storage.key}`;
}

/** Tied weights share elements; thousands of tensors over the same elements are made to cost time. */
function refuseSharing(recipes: readonly TensorRecipe[], spec: { bytes: number; source: string }): void {
  const { bytes, source } = spec;
  const total = recipes.reduce((sum, { count, dtype }) => sum + count * bytesPerElement(dtype), 0);
  if (total <= MAX_SHARING * bytes) return;
  const found = `tensors of ${total} bytes that share their elements, in a file of ${bytes} bytes`;
  throw badPytorch({ source, found, expected: `tensors of at most ${MAX_SHARING} times the file` });
}

/** The elements of whole storages, each made once however many tensors share it. */
function elementReader(file: PytorchFile): (recipe: TensorRecipe) => ArrayOfDtype[TensorDtype] {
  const made = new Map<string, ArrayOfDtype[TensorDtype]>();
  // One aligned copy of a storage serves every dtype that it is seen as.
  const aligned = new Map<string, Uint8Array>();
  return ({ storage, dtype }) => {
    const id = `${dtype} ${storage.key}`;
    const known = made.get(id);
    if (known !== undefined) return known;
    const stored = aligned.get(storage.key) ?? file.storage(storage);
    const bytes = stored.byteOffset % bytesPerElement(dtype) === 0 ? stored : stored.slice();
    aligned.set(storage.key, bytes);
    const whole = bytes.subarray(0, bytes.length - (bytes.length % bytesPerElement(dtype)));
    const elements = elementsFrom(dtype, whole, file.littleEndian);
    made.set(id, elements);
    return elements;
  };
}

/** The elements of one tensor, row-major: a view where they lie so. */
function tensorElements(
  recipe: TensorRecipe,
  spec: {
    stored: ArrayOfDtype[TensorDtype];
    copies: { bytes: number; readonly limit: number };
    where: string;
    source: string;
  },
): ArrayOfDtype[TensorDtype] {
  const { layout, count, isNegated, dtype } = recipe;
  const { stored, copies, where, source } = spec;
  if (count === 0 || (isRowMajor(layout) && !isNegated)) return stored.subarray(layout.offset, layout.offset + count);
  copies.bytes += count * stored.BYTES_PER_ELEMENT;
  if (copies.bytes > copies.limit) {
    const found = `${where} and others that share storages, which are larger than the file once they are contiguous`;
    throw badPytorch({
      source,
      found,
      expected: "tensors no larger than the file",
      remedy: "save them after .contiguous()",
    });
  }
  const copy = copyRowMajor(stored, layout, count);
  if (isNegated) negate(copy, dtype);
  return copy;
}

/** Changes the sign of every element in place. */
function negate(data: ArrayOfDtype[TensorDtype], dtype: TensorDtype): void {
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) {
    for (let i = 0; i < data.length; i++) data[i] = -data[i]!;
  } else if (dtype === "f16" || dtype === "bf16") {
    for (let i = 0; i < data.length; i++) data[i] = data[i]! ^ 0x8000;
  } else for (let i = 0; i < data.length; i++) data[i] = -data[i]!;
}

function withoutTensors({ globals }: Pickle, source: string): Error {
  const foreign = foreignGlobals(globals);
  const calls =
    foreign.length > 0 ? ` (it names ${someOf(foreign.map(quote)).join(", ")}, and none of it is called)` : "";
  return badPytorch({
    source,
    found: `no tensors in dictionaries${calls}`,
    expected: "a state dict",
    remedy: "save it with torch.save(model.state_dict(), FILE)",
  });
}

/** What was left out, in a sentence for the user; undefined where nothing was. */
function leftOut({ path, skipped }: StateDict, { globals }: Pickle): string | undefined {
  const foreign = foreignGlobals(globals);
  const list = (names: readonly string[]) => someOf(names.map(quote)).join(", ");
  const parts = [
    ...(skipped.length > 0 ? [`not read: ${list(skipped)}`] : []),
    ...(foreign.length > 0 ? [`named in the file and not called: ${list(foreign)}`] : []),
  ];
  if (parts.length === 0) return undefined;
  const from = path.length > 0 ? `the tensors are those of ${quote(path.join(" > "))}; ` : "";
  return from + parts.join("; ");
}
