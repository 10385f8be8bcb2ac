import type { Dataset } from "@secateur/core";
import type { Session } from "../../session.ts";

/** So many examples, evenly spread, tell data of one class from others well enough. */
const most = 2000;
/** Read at a time: of most data the first few show two classes. */
const step = 100;

/** Says so where all labels are one class: a network that always answers it has an accuracy of 100 %, whatever is pruned. */
export async function noteOneClass(data: Dataset, onEvent: Session["onEvent"]): Promise<void> {
  const target = data.targets?.find(({ classes }) => classes !== undefined && classes > 1);
  if (!target || data.size < 2) return;
  const count = Math.min(most, data.size);
  let only: number | undefined;
  for (let start = 0; start < count; start += step) {
    const length = Math.min(step, count - start);
    const indices = Uint32Array.from({ length }, (_, i) => Math.floor(((start + i) * data.size) / count));
    const labels = (await data.batch(indices)).targets?.[target.name]?.data ?? [];
    for (const label of labels) {
      only ??= Number(label);
      if (Number(label) !== only) return;
    }
  }
  const looked =
    count < data.size ? `all of ${count} examples drawn from ${data.name}` : `all examples of ${data.name}`;
  const message = `${looked} are of class ${only}: a network that always answers it is right, so losses and accuracies say little`;
  onEvent({ type: "note", level: "warn", code: "one-class", message });
}
