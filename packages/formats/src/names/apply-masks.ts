/**
 * Pruning libraries keep a weight and its mask side by side, under names of their own. Here both become the one weight
 * that the network computes with: zero where its mask is.
 */
import { badTensors } from "../errors.ts";
import { toFloat32 } from "../files/convert.ts";
import type { NamedTensor } from "../tensor.ts";
import { listOf, quote } from "../text/quote.ts";

/** Tensors after masking, and what was done or why not. */
export interface Unmasked {
  readonly tensors: readonly NamedTensor[];
  readonly notes: readonly string[];
}

/** The mask that may belong to a tensor, and the name of the weight that both are. */
interface Pair {
  readonly mask: NamedTensor | undefined;
  readonly plain: string;
  /** without a mask the name changes all the same */
  readonly isPlainWithout: boolean;
}

/**
 * Applies masks to the weights they belong to: `x_orig` with `x_mask` (torch.nn.utils.prune), `parametrizations.x.original`
 * with `parametrizations.x.0.mask`, `_layer.x` with `_x_mask` (the modules of WoodFisher), and `x` with `x_mask` or `x.mask`,
 * `weight` also with `mask`. Masks of other numbers than 0 and 1 or of another shape stay as they are, with a note; and so do
 * all names when two would become one. O(elements); copies only weights whose masks have zeros.
 *
 * @param source - name of the file, for messages
 * @throws ERR_TENSORS when the copies would need more memory than the tensors take in their file, as only tensors that
 * share their elements many times over do
 */
export function applyMasks(tensors: readonly NamedTensor[], source: string): Unmasked {
  // A pair shows in one of its names; most files have none, and nothing is made for them.
  if (!tensors.some(({ name }) => /(mask|_orig|\.original)$|(^|\.)_layer\./.test(name))) return { tensors, notes: [] };
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  const used = new Set<string>();
  const refused: string[] = [];
  const spend = copyBudget(tensors, source);
  let renamed = 0;
  const plain = tensors.map((tensor) => {
    const pair = pairOf(tensor.name, byName);
    if (pair === undefined) return tensor;
    const { mask, isPlainWithout } = pair;
    if (mask === undefined ? !isPlainWithout : !isMaskOf(mask, tensor)) {
      if (mask !== undefined) refused.push(mask.name);
      return tensor;
    }
    if (mask !== undefined) used.add(mask.name);
    renamed++;
    return { ...(mask === undefined ? tensor : masked(tensor, mask, spend)), name: pair.plain };
  });
  const notes =
    refused.length === 0
      ? []
      : [`not applied: ${listOf(refused.map(quote))}, a mask must have its weight's shape and hold only 0 and 1`];
  const kept = plain.filter(({ name }) => !used.has(name));
  const isUnique = new Set(kept.map(({ name }) => name)).size === kept.length;
  if (renamed === 0 || !isUnique) return { tensors, notes };
  const applied = `${used.size} ${used.size === 1 ? "mask was" : "masks of a pruning library were"} applied to ${used.size === 1 ? "its weight" : "their weights"}`;
  return { tensors: kept, notes: used.size > 0 ? [applied, ...notes] : notes };
}

function pairOf(name: string, byName: ReadonlyMap<string, NamedTensor>): Pair | undefined {
  const cut = name.lastIndexOf(".") + 1;
  const [path, leaf] = [name.slice(0, cut), name.slice(cut)];
  const pair = (mask: string, plain: string): Pair => ({ mask: byName.get(mask), plain, isPlainWithout: false });
  if (leaf.endsWith("_orig")) {
    const plain = path + leaf.slice(0, -"_orig".length);
    return pair(`${plain}_mask`, plain);
  }
  if (leaf === "original" && path.includes("parametrizations.")) {
    const [, outer = "", inner] = /^(.*\.|)parametrizations\.([^.]+)\.$/.exec(path) ?? [];
    return inner === undefined ? undefined : pair(`${path}0.mask`, outer + inner);
  }
  if (path.endsWith("_layer.") && (path === "_layer." || path.endsWith("._layer."))) {
    const outer = path.slice(0, -"_layer.".length);
    // A module may have a parameter named x_orig of its own, but no layer of another library is called _layer.
    return { ...pair(`${outer}_${leaf}_mask`, outer + leaf), isPlainWithout: true };
  }
  const beside = [`${name}_mask`, `${name}.mask`, ...(leaf === "weight" ? [`${path}mask`] : [])];
  const mask = beside.find((candidate) => byName.has(candidate));
  return mask === undefined ? undefined : pair(mask, name);
}

function isMaskOf(mask: NamedTensor, tensor: NamedTensor): boolean {
  if (mask.shape.join() !== tensor.shape.join()) return false;
  return toFloat32(mask).every((value) => value === 0 || value === 1);
}

/** Counts copied bytes, up to those that the tensors take in their file. */
function copyBudget(tensors: readonly NamedTensor[], source: string): (bytes: number) => void {
  const stored = new Set(tensors.map(({ data }) => data.buffer));
  let left = [...stored].reduce((sum, buffer) => sum + buffer.byteLength, 0);
  return (bytes) => {
    left -= bytes;
    if (left >= 0) return;
    const found = "masked weights that share their elements and are larger than the file once each has its own";
    throw badTensors({ source, found, expected: "masked weights no larger than the file" });
  };
}

function masked(tensor: NamedTensor, mask: NamedTensor, spend: (bytes: number) => void): NamedTensor {
  const keeps = toFloat32(mask);
  if (!keeps.includes(0)) return tensor;
  spend(tensor.data.byteLength);
  const data = tensor.data.slice();
  // Zero has all its bits clear in every dtype.
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const width = data.BYTES_PER_ELEMENT;
  for (let i = 0; i < keeps.length; i++) if (keeps[i] === 0) bytes.fill(0, i * width, (i + 1) * width);
  return { ...tensor, data } as NamedTensor;
}
