/** The flags of commands that run several methods on one network, and what they say together. */
import type { RunPlan } from "@secateur/core";
import { mapDataPaths, optionsFromPairs, pairsBySolver, type ReestimateTime } from "@secateur/run";
import type { ComparedSolver } from "@secateur/run/node/compare/compared-method";
import type { SettingSpec } from "@secateur/run/node/compare/compared-setting";
import type { EngineChoice } from "@secateur/run/node/open/load-tensorflow";
import { modelFile } from "@secateur/run/node/open/open-tfjs";
import { findSolver } from "@secateur/run/node/plugins/find-solver";
import type { Command } from "commander";
import { missingFlag } from "../errors.ts";
import { absolutePath } from "../run/absolute-path.ts";
import type { SessionFlags } from "../run/session.ts";
import type { Terminal } from "../terminal.ts";
import { addArchFlags } from "./arch-flags.ts";
import { addReestimateFlag } from "./batch-norm-flags.ts";
import {
  addDataFlags,
  addEngineFlag,
  addFrozenFlag,
  addKeepDenseFlag,
  collect,
  type DataFlags,
} from "./common-flags.ts";
import { listOfNames, listOfSparsities } from "./lists.ts";
import { addPlanFlags, type PlanFlags, planFromFlags } from "./plan-flags.ts";
import { solverSettings } from "./solver-flags.ts";
import type { JobFlags } from "./work-flags.ts";

/** What `addMethodFlags` adds, and the flags that go with it, as commander hands them over. */
export interface MethodFlags extends SessionFlags, PlanFlags, DataFlags, JobFlags {
  readonly arch?: string;
  readonly engine?: EngineChoice;
  readonly includeFrozen?: boolean;
  readonly reestimateBatchNorm?: ReestimateTime;
  readonly solvers?: readonly string[];
  readonly option?: readonly string[];
  readonly curvatureOption?: readonly string[];
  readonly sparsities?: readonly number[];
  readonly keepDense?: readonly string[];
}

/** Data, network, methods and their plans. @param spec.addMore - adds flags beside --sparsities */
export function addMethodFlags(
  command: Command,
  spec: { purpose: string; terminal: Terminal; addMore?: (command: Command) => void },
): void {
  addDataFlags(command, spec.purpose);
  addArchFlags(command, spec.terminal);
  addEngineFlag(command);
  addFrozenFlag(command);
  command
    .option(
      "--solvers <a,b,...>",
      "names from secateur plugins, or SELECTOR+UPDATER for a mask from one and weights from another",
      listOfNames,
    )
    .option("--sparsities <s,t,...>", "fractions of the prunable weights to remove", listOfSparsities);
  spec.addMore?.(command);
  command.option("--option <solver:key=value>", "an option of one solver, or of its plan; may be repeated", collect);
  addReestimateFlag(command);
  addKeepDenseFlag(command);
  addPlanFlags(command);
  command.option("--curvature-option <key=value>", "an option of the curvature, may be repeated", collect);
}

/** What the flags say of model, data and methods. */
export interface MethodSettings extends SettingSpec {
  readonly sparsities: readonly number[];
  readonly plan: RunPlan;
  readonly curvatureOptions: Readonly<Record<string, unknown>>;
  /** Found when everything cheaper has been checked. @throws ERR_UNKNOWN_NAME */
  findSolvers(): Promise<readonly ComparedSolver[]>;
}

/** The settings with absolute paths. @throws ERR_USAGE */
export function methodSettings(model: string, flags: MethodFlags, terminal: Terminal): MethodSettings {
  const { data, solvers, sparsities } = flags;
  if (data === undefined) throw missingFlag("--data", "say what to prune and measure with, for example --data mnist");
  if (!solvers) throw missingFlag("--solvers", "name the methods, for example --solvers magnitude,cbs,chita");
  if (!sparsities) throw missingFlag("--sparsities", "say how far to prune, for example --sparsities 0.5,0.9");
  return {
    path: modelFile(absolutePath(terminal, model)),
    data: mapDataPaths(data, (file) => absolutePath(terminal, file)),
    ...{ arch: flags.arch, engine: flags.engine, task: flags.task, includeFrozen: flags.includeFrozen },
    ...{ normalize: flags.normalize, preprocess: flags.preprocess, reestimateBatchNorm: flags.reestimateBatchNorm },
    ...{ sparsities, keepDense: flags.keepDense ?? [], plan: planFromFlags(flags), cwd: terminal.cwd },
    curvatureOptions: optionsFromPairs("--curvature-option", flags.curvatureOption ?? []),
    async findSolvers() {
      const pairs = pairsBySolver(flags.option ?? [], solvers);
      return await Promise.all(
        solvers.map(async (name) => {
          const found = await findSolver(name, terminal.cwd);
          const given = { flags: {}, ownFlags: new Set<string>(), pairs: pairs.get(name) ?? [] };
          const { options, plan } = solverSettings({ entry: found.entry, hasPlan: true, ...given });
          return { found, options, plan: planFromFlags(plan) };
        }),
      );
    },
  };
}
