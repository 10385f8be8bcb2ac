/** Moving averages of the weights (EMA, SWA) that are kept in the same file as the weights. */
import type { NamedTensor } from "../tensor.ts";
import { quote } from "../text/quote.ts";

/** What the names of averaged weights begin with. */
const AVERAGES = ["ema.", "ema_model.", "model_ema.", "module_ema.", "ema_net.", "net_ema."];

/** What torch.optim.swa_utils and EMA libraries count beside the weights. */
const COUNTERS = new Set(["n_averaged", "ema.n_averaged", "ema.decay", "ema.num_updates", "model_ema.num_updates"]);

/**
 * Leaves out averages of weights that are in the file too, and counters of averaging; says so. Where a file holds only the
 * averages, their prefix is dropped instead.
 */
export function dropAverages(tensors: readonly NamedTensor[]): {
  readonly tensors: readonly NamedTensor[];
  readonly notes: readonly string[];
} {
  const counted = tensors.filter(({ name, data }) => COUNTERS.has(name) && data.length === 1);
  const rest = tensors.filter((tensor) => !counted.includes(tensor));
  const notes = counted.length === 0 ? [] : [`not read: ${counted.map(({ name }) => quote(name)).join(", ")}`];
  const prefix = AVERAGES.find((candidate) => rest.some(({ name }) => name.startsWith(candidate)));
  if (prefix === undefined) return { tensors: counted.length === 0 ? tensors : rest, notes };
  const averaged = rest.filter(({ name }) => name.startsWith(prefix));
  const plain = (name: string): string => name.slice(prefix.length);
  if (averaged.length === rest.length) {
    const renamed = rest.map((tensor) => ({ ...tensor, name: plain(tensor.name) }));
    return {
      tensors: renamed,
      notes: [...notes, `dropped ${quote(prefix)} from every name; the weights are averages`],
    };
  }
  // Averages are copies of weights: the same names under some prefix, with the same shapes.
  const known = new Set(rest.filter((tensor) => !averaged.includes(tensor)).map(({ name }) => lastSegments(name)));
  const areCopies = averaged.every(({ name }) => known.has(lastSegments(plain(name))));
  if (!areCopies) return { tensors: counted.length === 0 ? tensors : rest, notes };
  const from = new Set(averaged);
  const note = `not read: ${averaged.length} averages under ${quote(prefix)}`;
  return { tensors: rest.filter((tensor) => !from.has(tensor)), notes: [...notes, note] };
}

/** EMA libraries may store averages of `module.a.b` as `ema.a.b`; the last two segments tell which weight it is. */
function lastSegments(name: string): string {
  return name.split(".").slice(-2).join(".");
}
