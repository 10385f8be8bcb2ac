import type { Canonical } from "../canonical.ts";
import type { ModelRun } from "../model-run.ts";
import type { ModelWeight } from "../weights.ts";
import type { HostUse } from "./captured-rows.ts";
import type { GradientKernels } from "./gradient-kernels.ts";
import type { recordGradients } from "./record-gradients.ts";

/** An adapted model. */
export interface Adapted {
  readonly run: ModelRun;
  readonly gradientKernels: GradientKernels;
  /** A parameter by name. @throws ERR_UNKNOWN_NAME */
  find(name: string): { readonly weight: ModelWeight; readonly canonical: Canonical };
}

/** The factors of every weight, on the host. Uses that the loss does not depend on are left out. */
export async function hostUses(
  uses: ReturnType<typeof recordGradients>["uses"],
): Promise<ReadonlyMap<string, readonly HostUse[]>> {
  const found = new Map<string, HostUse[]>();
  for (const { weight, use, input, delta } of uses) {
    if (!delta) continue;
    const host: HostUse = {
      use,
      input: (await input.data()) as Float32Array,
      delta: (await delta.data()) as Float32Array,
    };
    found.set(weight, [...(found.get(weight) ?? []), host]);
  }
  return found;
}
