import type { AnyModel } from "../open/open-any-model.ts";
import { versions } from "../versions.ts";
import type { Comparison } from "./run-compare.ts";

/**
 * What all runs of a comparison share, as JSON: runs of an earlier call count only where it is the same. Not which methods are compared, with
 * which settings, nor the packages they come from: those are kept with each run.
 */
export function comparisonIdentity(
  spec: Omit<Comparison, "session"> & { readonly session: Pick<Comparison["session"], "seed" | "kernels"> },
  { sha256, arch, packages }: Pick<AnyModel, "sha256" | "arch" | "packages">,
): string {
  const { data, normalize, preprocess, task, reestimateBatchNorm, keepDense, includeFrozen, engine, session } = spec;
  const { curvatureOptions = {} } = spec;
  const { seed, kernels } = session;
  return JSON.stringify({
    ...{
      modelSha256: sha256,
      arch,
      engine,
      includeFrozen,
      data,
      normalize,
      preprocess,
      task,
      reestimateBatchNorm,
      keepDense,
      curvatureOptions,
    },
    ...{ seed, backend: kernels.name, versions: versions(packages) },
  });
}
