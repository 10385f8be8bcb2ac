/** Names of methods, tasks and data in jobs: a queue says which of our methods and of the installed plugins are run, never which other packages are loaded. */
import { type EntryKind, entryKinds, taskParts } from "@secateur/core";
import { dataSources } from "@secateur/datasets";
import { badJob } from "../../../errors.ts";
import { strangerBehind } from "../../plugins/find-entry.ts";

/**
 * @param spec.methods - names of solvers (also two with a plus) and curvatures
 * @param spec.task - the text of a task
 * @param spec.data - the DATA argument
 * @param cwd - the folder from which plugins are looked for
 * @throws ERR_JOB for a name that would load a package which is no plugin
 */
export async function checkNames(
  spec: {
    readonly what: string;
    readonly methods?: readonly (string | undefined)[];
    readonly task?: string | undefined;
    readonly data?: string | undefined;
  },
  cwd: string,
): Promise<void> {
  const { what, methods = [], task, data = "" } = spec;
  const source = data.split(":")[0]!;
  const named: readonly (readonly [string, readonly EntryKind[]])[] = [
    ...methods.flatMap((name) => name?.split("+") ?? []).map((name) => [name, methodKinds] as const),
    ...(task === undefined ? [] : taskParts(task).map(({ name }) => [name, ["task"]] as const)),
    ...(source === "" || dataSources.some(({ name }) => name === source) ? [] : [[source, ["dataset"]] as const]),
  ];
  for (const [name, kinds] of named) {
    const stranger = await strangerBehind(name, cwd, kinds);
    if (stranger !== undefined)
      throw badJob(what, `'${name}' would load the package '${stranger}', which is no plugin`);
  }
}

/** What names of methods may be. */
const methodKinds = entryKinds.filter(
  (kind) => !["task", "architecture", "dataset", "format", "reporter"].includes(kind),
);
