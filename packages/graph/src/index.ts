export { findParams } from "./plan/params.ts";
export { planGraph } from "./plan/plan.ts";
export { runGraph } from "./run/run-graph.ts";
export { recordGraph } from "./run/tape.ts";
