/** Tensors in a checkpoint: which calls of torch describe one, and where its elements lie. */
import { bytesPerElement, type TensorDtype } from "../dtype.ts";
import { badPytorch, unknownDtype } from "../errors.ts";
import { MAX_RANK } from "../limits.ts";
import { globalName, isPickleNode, type PickleObject, type PickleValue } from "../pickle/pickle-value.ts";
import { elementCount } from "../tensor.ts";
import { quote } from "../text/quote.ts";
import { DTYPE_OF_STORAGE, DTYPE_OF_TORCH } from "./pytorch-globals.ts";
import { isWhole, type StorageReference, storageReference } from "./pytorch-storage.ts";
import type { StridedLayout } from "./strided.ts";

/** A tensor that is described and not yet read. Its layout lies inside its storage, and has no more elements than that. */
export interface TensorRecipe {
  readonly storage: StorageReference;
  readonly dtype: TensorDtype;
  /** counted in elements of `dtype` from the start of the storage */
  readonly layout: StridedLayout;
  /** its values are the stored ones with their signs changed: torch's negative bit, which views of conjugates have */
  readonly isNegated: boolean;
  /** elements: the product of the shape */
  readonly count: number;
}

/** Where a value stands, for messages. */
interface Place {
  /** name of the file */
  readonly source: string;
  /** path through the dictionaries */
  readonly name: string;
}

/** Parameters wrap tensors, sometimes twice; more is no honest file. */
const MAX_WRAPPING = 8;

/** What one of torch's functions makes of its arguments. */
type Rebuild = (args: readonly PickleValue[], place: Place, depth: number) => TensorRecipe;

/** (storage, offset, shape, strides[, requires_grad, hooks[, metadata]]) */
const rebuildTensor: Rebuild = ([storage, offset, shape, strides, , , metadata, ...others], place) =>
  recipe({ storage, offset, shape, strides, dtype: undefined, metadata, others }, place);

/** (storage, offset, shape, strides, requires_grad, hooks, dtype[, metadata]) */
const rebuildUntyped: Rebuild = ([storage, offset, shape, strides, , , dtype, metadata, ...others], place) =>
  recipe({ storage, offset, shape, strides, dtype, metadata, others }, place);

const rebuildWrapped: Rebuild = ([data], place, depth) => innerTensor(data, place, depth);

const rebuildFromType: Rebuild = ([rebuild, , args], place, depth) => {
  const items = isPickleNode(args) && args.kind === "tuple" ? args.items : [];
  const call: PickleObject = { kind: "object", callee: rebuild ?? null, args: items, entries: [], items: [] };
  return innerTensor(call, place, depth);
};

/** The functions whose calls are tensors that can be read. */
const REBUILDS: ReadonlyMap<string, Rebuild> = new Map([
  ["torch._utils._rebuild_tensor", rebuildTensor],
  ["torch._utils._rebuild_tensor_v2", rebuildTensor],
  ["torch._utils._rebuild_tensor_v3", rebuildUntyped],
  ["torch._utils._rebuild_parameter", rebuildWrapped],
  ["torch._utils._rebuild_parameter_with_state", rebuildWrapped],
  ["torch._tensor._rebuild_from_type_v2", rebuildFromType],
]);

/** Whether a value is a tensor, of a kind that can be read or of another. */
export function isTensorCall(value: PickleValue | undefined): value is PickleObject {
  if (!isPickleNode(value) || value.kind !== "object") return false;
  const callee = globalName(value.callee) ?? "";
  return /^torch\.(_utils\._rebuild|_tensor\._rebuild_from_type)\w*$/.test(callee);
}

/**
 * Reads what a tensor's call says; no element is touched.
 *
 * @param place.name - path of the tensor in the file, for messages
 * @throws ERR_PYTORCH for kinds of tensors that are not read (sparse, quantised, ...) and layouts that do not fit their
 * storage; ERR_DTYPE for element types that are not read
 */
export function readTensorCall(call: PickleObject, place: Place): TensorRecipe {
  return rebuild(call, place, 0);
}

function rebuild(call: PickleObject, place: Place, depth: number): TensorRecipe {
  const callee = globalName(call.callee) ?? "?";
  const known = depth < MAX_WRAPPING ? REBUILDS.get(callee) : undefined;
  if (known === undefined) {
    const found = `the tensor ${quote(place.name)} made by ${quote(callee)}, which is not read`;
    const expected = "dense tensors and parameters";
    throw badPytorch({ source: place.source, found, expected, remedy: "save it as a dense tensor" });
  }
  return known(call.args, place, depth);
}

function innerTensor(value: PickleValue | undefined, place: Place, depth: number): TensorRecipe {
  if (!isPickleNode(value) || value.kind !== "object") throw malformed(place, "a parameter without a tensor");
  return rebuild(value, place, depth + 1);
}

interface TensorFields {
  readonly storage: PickleValue | undefined;
  readonly offset: PickleValue | undefined;
  readonly shape: PickleValue | undefined;
  readonly strides: PickleValue | undefined;
  /** what types an untyped storage; undefined where the storage's class does */
  readonly dtype: PickleValue | undefined;
  readonly metadata: PickleValue | undefined;
  /** arguments that no version of torch has */
  readonly others: readonly PickleValue[];
}

function recipe(fields: TensorFields, place: Place): TensorRecipe {
  const { offset } = fields;
  const storage = storageReference(fields.storage, place.source);
  const shape = wholeNumbers(fields.shape);
  const strides = wholeNumbers(fields.strides);
  if (storage === undefined || !isWhole(offset) || !shape || !strides || shape.length !== strides.length) {
    throw malformed(place, "fields of an unknown form");
  }
  if (fields.others.length > 0) throw malformed(place, "more arguments than torch writes");
  const isNegated = negativeBit(fields.metadata, place);
  const dtype = dtypeOf(fields, storage, place);
  if (isNegated && (dtype === "bool" || dtype.startsWith("u"))) throw malformed(place, `negative ${dtype} values`);
  // Storages are counted in elements of their own class, or in bytes.
  const begin = (storage.start * storage.bytesPerElement) / bytesPerElement(dtype);
  if (!Number.isInteger(begin)) throw malformed(place, "a view that begins within an element");
  const available = Math.floor((storage.visible * storage.bytesPerElement) / bytesPerElement(dtype));
  const count = elementCount(shape);
  if (count === undefined || count > available) {
    const found = `shape [${shape.join(", ")}]`;
    const remedy = "if it was expanded, save it after .contiguous()";
    throw unfit(place, { found, storage, available, remedy });
  }
  const last = offset + shape.reduce((sum, extent, axis) => sum + (extent - 1) * strides[axis]!, 0);
  if (count > 0 && !(last < available)) {
    const found = `shape [${shape.join(", ")}] with strides [${strides.join(", ")}] from element ${offset}`;
    throw unfit(place, { found, storage, available });
  }
  return { storage, dtype, isNegated, count, layout: { shape, strides, offset: begin + offset } };
}

/**
 * { 'conj': bool, 'neg': bool } (torch.serialization, since 2.0). The conjugate of a real number is itself. Anything else might
 * change values in a way that is not known here.
 */
function negativeBit(metadata: PickleValue | undefined, place: Place): boolean {
  if (metadata === undefined || metadata === null) return false;
  if (!isPickleNode(metadata) || metadata.kind !== "dict") throw malformed(place, "metadata of an unknown form");
  let isNegated = false;
  for (const [key, value] of metadata.entries) {
    if ((key !== "neg" && key !== "conj") || typeof value !== "boolean") {
      const what = typeof key === "string" ? quote(key) : "without a name";
      throw malformed(place, `the metadata ${what}, which may change its values and is not read`);
    }
    if (key === "neg") isNegated = value;
  }
  return isNegated;
}

function dtypeOf({ dtype }: TensorFields, storage: StorageReference, place: Place): TensorDtype {
  const name = dtype === undefined ? storage.className : (globalName(dtype) ?? "?");
  const known = dtype === undefined ? storage.dtype : DTYPE_OF_TORCH.get(name);
  if (known !== undefined) return known;
  const where = `${place.source}: tensor ${quote(place.name)}`;
  throw unknownDtype({ where, found: name, known: [...new Set(DTYPE_OF_STORAGE.values())] });
}

function wholeNumbers(value: PickleValue | undefined): readonly number[] | undefined {
  if (!isPickleNode(value) || (value.kind !== "tuple" && value.kind !== "list")) return undefined;
  return value.items.length <= MAX_RANK && value.items.every(isWhole) ? value.items.filter(isWhole) : undefined;
}

function malformed({ source, name }: Place, found: string): Error {
  return badPytorch({
    source,
    found: `the tensor ${quote(name)} with ${found}`,
    expected: "a tensor as torch saves it",
  });
}

function unfit(
  { source, name }: Place,
  spec: { found: string; storage: StorageReference; available: number; remedy?: string },
): Error {
  const { found, storage, available, remedy } = spec;
  return badPytorch({
    source,
    found: `the tensor ${quote(name)} of ${found} in a storage of ${available} elements (key ${quote(storage.key)})`,
    expected: "tensors inside their storage, with no more elements than it has",
    ...(remedy === undefined ? {} : { remedy }),
  });
}
