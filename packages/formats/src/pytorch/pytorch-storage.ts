/** References to the storages of tensors, as torch.save leaves them in a pickle. */
import { bytesPerElement, type TensorDtype } from "../dtype.ts";
import { badPytorch } from "../errors.ts";
import { globalName, isPickleNode, type PickleReference, type PickleValue } from "../pickle/pickle-value.ts";
import { quote } from "../text/quote.ts";
import { BYTES_OF_OTHER_STORAGE, DTYPE_OF_STORAGE } from "./pytorch-globals.ts";

/** What a reference says about a storage. */
export interface StorageReference {
  /** its name in the file */
  readonly key: string;
  /** its class without module, such as "FloatStorage" */
  readonly className: string;
  /** element type; undefined where it is not read here */
  readonly dtype: TensorDtype | undefined;
  readonly bytesPerElement: number;
  /** elements the whole storage has */
  readonly length: number;
  /** first element that this reference sees: above 0 only for views in files of early versions */
  readonly start: number;
  /** elements that this reference sees */
  readonly visible: number;
}

/**
 * Reads ("storage", class, key, location, elements[, view]); undefined for references to anything else, such as the
 * source text of a module.
 *
 * @throws ERR_PYTORCH when it has another form
 */
export function storageReference(value: PickleValue | undefined, source: string): StorageReference | undefined {
  if (!isPickleNode(value) || value.kind !== "reference") return undefined;
  const id = value.id;
  const fields = isPickleNode(id) && id.kind === "tuple" ? id.items : [];
  if (fields[0] !== "storage") return undefined;
  const [, type, key, , length, view] = fields;
  const className = globalName(type)?.split(".").at(-1);
  const width = widthOf(className);
  if (className === undefined || width === undefined || typeof key !== "string" || !isWhole(length)) {
    const found = `a storage of class ${quote(globalName(type) ?? "?")} in a form that is not known`;
    throw badPytorch({ source, found, expected: "a class of torch storages, a key and a size" });
  }
  const part = viewOf(view, length);
  if (part === undefined) {
    throw badPytorch({
      source,
      found: `a view beyond the storage ${quote(key)}`,
      expected: "views inside their storage",
    });
  }
  return { key, className, dtype: DTYPE_OF_STORAGE.get(className), bytesPerElement: width, length, ...part };
}

/** The storages among a pickle's references, one a key. @throws ERR_PYTORCH when two references disagree */
export function storagesByKey(
  references: readonly PickleReference[],
  source: string,
): ReadonlyMap<string, StorageReference> {
  const storages = new Map<string, StorageReference>();
  for (const reference of references) {
    const storage = storageReference(reference, source);
    if (storage === undefined) continue;
    const first = storages.get(storage.key) ?? storage;
    if (first.className !== storage.className || first.length !== storage.length) {
      const found = `the storage ${quote(storage.key)} as ${describe(first)} and as ${describe(storage)}`;
      throw badPytorch({ source, found, expected: "one class and size a storage" });
    }
    storages.set(storage.key, first);
  }
  return storages;
}

/** Whether a value is a whole number from 0 to 2^53 - 1. */
export function isWhole(value: PickleValue | undefined): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function widthOf(className: string | undefined): number | undefined {
  if (className === undefined) return undefined;
  const dtype = DTYPE_OF_STORAGE.get(className);
  return dtype === undefined ? BYTES_OF_OTHER_STORAGE.get(className) : bytesPerElement(dtype);
}

/** The part that (key, offset, size) shows of a storage; all of it for None. */
function viewOf(view: PickleValue | undefined, length: number): { start: number; visible: number } | undefined {
  if (view === undefined || view === null) return { start: 0, visible: length };
  if (!isPickleNode(view) || view.kind !== "tuple") return undefined;
  const [, start, visible] = view.items;
  return isWhole(start) && isWhole(visible) && start + visible <= length ? { start, visible } : undefined;
}

function describe({ length, className }: StorageReference): string {
  return `${length} elements of ${className}`;
}
