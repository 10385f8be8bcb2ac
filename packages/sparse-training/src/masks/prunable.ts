/** The parameters that a rule prunes. */
import { badOption, type Mask, type ParamInfo, type TrainingSetup } from "@secateur/core";
import { keptPruned, nothingToPrune } from "../errors.ts";

/** The prunable parameters. @throws ERR_IMPOSSIBLE where there are none */
export function prunableParams(rule: string, { params }: Pick<TrainingSetup, "params">): readonly ParamInfo[] {
  const prunable = params.filter((param) => param.prunable);
  if (prunable.length === 0) throw nothingToPrune(rule);
  return prunable;
}

/** The same for rules that bring weights back. @throws ERR_IMPOSSIBLE also where the training keeps weights pruned */
export function regrowableParams(rule: string, setup: TrainingSetup): readonly ParamInfo[] {
  const zeros = [...setup.masks.values()].reduce((sum, mask) => sum + mask.length - keptOf(mask), 0);
  if (zeros > 0) throw keptPruned({ rule, zeros });
  return prunableParams(rule, setup);
}

/** Weights of some parameters. */
export function sizeOf(params: readonly ParamInfo[]): number {
  return params.reduce((sum, { rows, cols }) => sum + rows * cols, 0);
}

/** How many weights a mask keeps. */
export function keptOf(mask: Mask): number {
  let kept = 0;
  for (const bit of mask) kept += bit;
  return kept;
}

/** @throws ERR_OPTION for a word that is none of those allowed */
export function checkChoice(rule: string, option: string, found: string, allowed: readonly string[]): void {
  if (!allowed.includes(found)) {
    throw badOption(rule, `option '${option}' is '${found}'; give ${allowed.join(", ")}`, { option, found, allowed });
  }
}
