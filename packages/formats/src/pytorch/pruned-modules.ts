/**
 * Pruning libraries keep a weight and its mask side by side, under names of their own. Here both become the one weight
 * that the network computes with: zero where its mask is.
 */
import { toFloat32 } from "../files/convert.ts";
import type { NamedTensor } from "../tensor.ts";

/** How one library names the two. `$1` is the module's path with its dot, `$2` the parameter. */
interface Convention {
  readonly weight: RegExp;
  readonly mask: string;
  readonly plain: string;
}

const CONVENTIONS: readonly Convention[] = [
  // torch.nn.utils.prune
  { weight: /^(.*\.|)(\w+)_orig$/, mask: "$1$2_mask", plain: "$1$2" },
  // The modules of WoodFisher, which the published code of CHITA uses too; without a mask only the name changes.
  { weight: /^(.*\.|)_layer\.(\w+)$/, mask: "$1_$2_mask", plain: "$1$2" },
];

/** Tensors after masking, and what was done. */
export interface Unmasked {
  readonly tensors: readonly NamedTensor[];
  /** undefined where nothing was done */
  readonly note: string | undefined;
}

/**
 * Applies masks to the weights they belong to. Masks other than 0 and 1, of another shape, or without a weight stay as
 * they are, and so do all names when two would become one. O(elements); copies only weights whose masks have zeros.
 */
export function applyMasks(tensors: readonly NamedTensor[]): Unmasked {
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  const usedMasks = new Set<string>();
  let renamed = 0;
  const plain = tensors.map((tensor) => {
    const names = namesOf(tensor.name);
    if (names === undefined) return tensor;
    const mask = byName.get(names.mask);
    if (mask === undefined ? !names.isPlainWithout : !isMaskOf(mask, tensor)) return tensor;
    if (mask !== undefined) usedMasks.add(names.mask);
    renamed++;
    return { ...(mask === undefined ? tensor : masked(tensor, mask)), name: names.plain };
  });
  const kept = plain.filter(({ name }) => !usedMasks.has(name));
  if (renamed === 0 || new Set(kept.map(({ name }) => name)).size !== kept.length) return { tensors, note: undefined };
  const note = `${usedMasks.size} masks of a pruning library were applied to their weights`;
  return { tensors: kept, note: usedMasks.size > 0 ? note : undefined };
}

function namesOf(name: string): { mask: string; plain: string; isPlainWithout: boolean } | undefined {
  const convention = CONVENTIONS.find(({ weight }) => weight.test(name));
  if (convention === undefined) return undefined;
  const { weight, mask, plain } = convention;
  // A module may have a parameter named x_orig of its own, but no layer of another library is called _layer.
  const isPlainWithout = name.includes("_layer.");
  return { mask: name.replace(weight, mask), plain: name.replace(weight, plain), isPlainWithout };
}

function isMaskOf(mask: NamedTensor, tensor: NamedTensor): boolean {
  if (mask.shape.join() !== tensor.shape.join()) return false;
  return toFloat32(mask).every((value) => value === 0 || value === 1);
}

function masked(tensor: NamedTensor, mask: NamedTensor): NamedTensor {
  const keeps = toFloat32(mask);
  if (!keeps.includes(0)) return tensor;
  const data = tensor.data.slice();
  // Zero has all its bits clear in every dtype.
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const width = data.BYTES_PER_ELEMENT;
  for (let i = 0; i < keeps.length; i++) if (keeps[i] === 0) bytes.fill(0, i * width, (i + 1) * width);
  return { ...tensor, data } as NamedTensor;
}
