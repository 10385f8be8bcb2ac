import type { JobKinds } from "@secateur/jobs";
import { columnsKind, columnsKindName } from "../../columns/columns-kind.ts";
import { inputsKind, inputsKindName } from "../../derivatives-apart/inputs-kind.ts";
import { rowsKind, rowsKindName } from "../../derivatives-apart/rows-kind.ts";
import { solveKind, solveKindName } from "../../layers-apart/solve-kind.ts";
import { traceKind, traceKindName } from "../../layers-apart/trace-kind.ts";
import { memberKind, memberKindName } from "../../soups-apart/member-kind.ts";
import type { JobHost } from "../job-host.ts";
import { layerKind, layerKindName } from "./layer-kind.ts";
import { pruneKind, pruneKindName } from "./prune-kind.ts";

/** What jobs can do: functions of this program, which a message names and never brings. */
export function jobKinds(host: JobHost): JobKinds {
  return {
    [pruneKindName]: pruneKind(host),
    [layerKindName]: layerKind(host),
    [columnsKindName]: columnsKind(host, { readsPaths: false }),
    [memberKindName]: memberKind(host),
    [rowsKindName]: rowsKind(host),
    [inputsKindName]: inputsKind(host),
    [solveKindName]: solveKind(host),
    [traceKindName]: traceKind(host),
  };
}
