/** What a solver's suite is told about the solver. */
import type { Solver } from "@secateur/core";
import type { RegisterTest } from "../check.ts";
import type { BudgetKind } from "./budgets.ts";
import type { TinySpec } from "./tiny-problems.ts";

/**
 * What a method claims to reach, checked by brute force.
 * `identity`: the optimum where H = I. `diagonal`: the optimum where H is diagonal. `one`: the optimum where one weight has to
 * go. `mask`: on its own mask, whichever that is, the weights are the minimiser. `any-k`: the optimum of every tiny problem
 * whose feasible sets are any k weights. `always`: of every tiny problem, patterns and groups included.
 */
export type OptimalityClaim = "identity" | "diagonal" | "one" | "mask" | "any-k" | "always";

/**
 * Problems a method does not take. Each must be refused with ERR_INCOMPATIBLE. `rows`: weights of several rows that share
 * one H. `pattern`: constraints that are not "any k units", such as n:m. `groups`: units of several weights. `products`: factor
 * views without single columns and row Gram matrix. `gradient`: a first-order term.
 */
export type Refusal = "rows" | "pattern" | "groups" | "products" | "gradient";

/** A solver and what it claims; everything but `create` has a default. */
export interface SolverSpec {
  /** Makes the solver, afresh at every call. */
  readonly create: () => Solver | Promise<Solver>;
  /** For the names of the tests; default "the solver". */
  readonly name?: string;
  /** Default: none. */
  readonly claims?: readonly OptimalityClaim[];
  /** How far above the claimed value `mask`, `any-k` and the others may end, relative to Q of removing everything; default: rounding. */
  readonly slack?: number;
  /** A solver that this one is never worse than, on any problem both take. */
  readonly baseline?: () => Solver | Promise<Solver>;
  /** Default: none, everything is solved. */
  readonly refuses?: readonly Refusal[];
  /** Whether it draws from the run's random numbers: then other seeds must give other masks, and reordering is not checked. Default false. */
  readonly randomised?: boolean;
  /** Whether the order of the weights is part of the method (columns worked through from left to right): then reordering is not checked. Default false. */
  readonly ordered?: boolean;
}

/** A spec with a test function, as `describeSolver` takes it. */
export interface SolverSuite extends SolverSpec {
  readonly test: RegisterTest;
}

/** What makes a problem one that a solver may refuse, or undefined when it may not. */
export function refusalFor(spec: TinySpec, refuses: readonly Refusal[] = []): Refusal | undefined {
  const reasons: readonly (readonly [Refusal, boolean])[] = [
    ["rows", (spec.rows ?? 1) > 1],
    ["pattern", spec.budget === "pattern"],
    ["groups", spec.budget === "blocks" || spec.budget === "channels"],
    ["products", spec.productsOnly === true],
    ["gradient", spec.firstOrder === true],
  ];
  return reasons.find(([reason, holds]) => holds && refuses.includes(reason))?.[0];
}

/** The problems that every solver meets, in the order of the messages. */
export function everyProblem(): readonly TinySpec[] {
  const specs: TinySpec[] = [];
  for (const dtype of ["f64", "f32"] as const) {
    for (const firstOrder of [false, true]) {
      for (const kind of kinds) specs.push({ kind, dtype, firstOrder });
      for (const budget of budgets) specs.push({ budget, dtype, firstOrder });
      for (const budget of ["sparsity", ...budgets] as const) specs.push({ budget, dtype, firstOrder, rows: 4 });
    }
    specs.push(
      { dtype, examples: 30 },
      { dtype, examples: 1 },
      { dtype, damping: 1e-6 },
      { dtype, productsOnly: true },
    );
  }
  return specs;
}

const kinds = ["plain", "dead columns", "equal columns", "rank two", "uneven columns", "zero weights", "ties"] as const;
const budgets: readonly BudgetKind[] = ["eligible", "pattern", "blocks", "channels"];
