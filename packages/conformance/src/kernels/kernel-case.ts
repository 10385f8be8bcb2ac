/** What one call of a kernel is, for the lists of calls. */
import type { Dtype, Kernels, Vec } from "@secateur/core";
import type { Operands } from "./kernel-operands.ts";

/** What a call produced, in any order that does not change. */
export type Outcome = Vec | Uint32Array | number;

/** One call of one kernel. */
export interface KernelCase {
  /** The call in words, for messages. */
  readonly label: string;
  /** Whether whole numbers make the result exact; else it may differ by rounding. */
  readonly isExact: boolean;
  /** Whether f32 results too are held to what the reference gives in f64: where a formula that loses all digits in f32 is what could go wrong. */
  readonly isJudgedInF64?: boolean;
  run(kernels: Kernels, make: Operands, dtype: Dtype): readonly Outcome[];
}

/** A call whose result is the same bytes in every order of summation. */
export const exact = (label: string, run: KernelCase["run"]): KernelCase => ({ label, isExact: true, run });

/** A call whose result may differ by rounding. */
export const rounded = (label: string, run: KernelCase["run"]): KernelCase => ({ label, isExact: false, run });

/** A call whose result may differ by rounding from what the reference gives in f64. */
export const judgedInF64 = (label: string, run: KernelCase["run"]): KernelCase => ({
  label,
  isExact: false,
  isJudgedInF64: true,
  run,
});
