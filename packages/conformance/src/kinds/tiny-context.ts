import { createRunContext, type RunContext, referenceKernels } from "@secateur/core";

/** A context with seed 1 and the reference kernels. */
export function tinyContext(): RunContext {
  return createRunContext({ seed: 1, kernels: referenceKernels });
}
