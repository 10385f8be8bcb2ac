import type { Checkpoint, NamedTensor } from "../tensor.ts";
import { applyMasks } from "./apply-masks.ts";
import { dropAverages } from "./drop-averages.ts";
import { dropWrappers } from "./drop-wrappers.ts";

/**
 * The same checkpoint under the names that the bare network has, whatever file it came from: prefixes of wrappers are
 * dropped, averages beside the weights are left out, and masks are applied. `notes` says each of it. Cleaning twice
 * changes nothing.
 *
 * @param source - name of the file, for messages
 * @throws ERR_TENSORS as `applyMasks`
 */
export function cleanCheckpoint(checkpoint: Checkpoint, source: string): Checkpoint {
  const unwrapped = dropWrappers(checkpoint.tensors.map(({ name }) => name));
  const named = checkpoint.tensors.map((tensor, i): NamedTensor => {
    const name = unwrapped.names[i]!;
    return name === tensor.name ? tensor : { ...tensor, name };
  });
  const own = dropAverages(named);
  const unmasked = applyMasks(own.tensors, source);
  const notes = [...(checkpoint.notes ?? []), ...unwrapped.notes, ...own.notes, ...unmasked.notes];
  const { notes: _, ...rest } = checkpoint;
  return { ...rest, tensors: unmasked.tensors, ...(notes.length === 0 ? {} : { notes }) };
}
