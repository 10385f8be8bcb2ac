/** The inverse of a factor view's H, or of a principal block of it, in the form that is cheapest. */
import { type Curvature, factorCurvature, type InverseView, type Kernels } from "@secateur/core";
import { restrictView } from "@secateur/core/linalg";
import { inverseTooLarge } from "../errors.ts";
import type { StoredFactor } from "../rows/row-factor.ts";
import { dualInverse } from "./dual-inverse.ts";
import { primalInverse, recursiveInverse } from "./explicit-inverse.ts";

/** How an inverse is had: from the n rows, from the c x c matrix by Cholesky, by WoodFisher's rank-one updates. */
export type InverseForm = "auto" | "dual" | "primal" | "recursion";

/** The smaller of rows and weights may be at most this: 8 * 6144^2 bytes are 300 MB. */
export const largestSystem = 6144;

/**
 * (H[support, support])^-1. "auto" (default) takes the dual form where there are fewer rows than weights, else Cholesky.
 *
 * @param spec.support - ascending; default: all weights
 * @throws ERR_SINGULAR, ERR_IMPOSSIBLE where rows and weights are both more than {@link largestSystem}
 */
export async function factorInverse(
  view: StoredFactor,
  spec: { kernels: Kernels; support?: Uint32Array | undefined; form?: InverseForm },
): Promise<InverseView> {
  const { kernels, support, form = "auto" } = spec;
  if (!support) return inverseOf(view, form, kernels);
  const inner = restrictView(view, support, kernels);
  try {
    const inverse = await inverseOf(inner, form, kernels);
    return {
      ...inverse,
      release() {
        inverse.release();
        inner.release();
      },
    };
  } catch (error) {
    inner.release();
    throw error;
  }
}

function inverseOf(view: StoredFactor, form: InverseForm, kernels: Kernels): Promise<InverseView> {
  const { rows, dim, damping } = view;
  if (Math.min(rows, dim) > largestSystem) throw inverseTooLarge({ rows, dim, most: largestSystem });
  switch (form) {
    case "auto":
      return rows < dim && damping > 0 ? dualInverse(view, kernels) : explicit(view, kernels);
    case "dual":
      return dualInverse(view, kernels);
    case "primal":
      return explicit(view, kernels);
    case "recursion":
      return recursiveInverse(view, kernels);
    default:
      return form satisfies never;
  }
}

/** Without damping and with fewer rows than weights, H is singular; a matrix too large to find that out is not formed. */
async function explicit(view: StoredFactor, kernels: Kernels): Promise<InverseView> {
  if (view.dim > largestSystem) return dualInverse(view, kernels);
  return primalInverse(view, kernels);
}

/** The curvature of stored rows, with its inverse. @throws on `inverse`: as {@link factorInverse} */
export function storedCurvature(view: StoredFactor, kernels: Kernels): Curvature {
  return { ...factorCurvature(view), inverse: (support) => factorInverse(view, { kernels, support }) };
}
