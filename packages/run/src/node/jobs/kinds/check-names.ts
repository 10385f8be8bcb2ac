/** Names of methods, tasks and data in jobs: a queue says which of our methods and of the installed plugins are run, never which other packages are loaded. */
import { taskParts } from "@secateur/core";
import { dataSources } from "@secateur/datasets";
import { badJob } from "../../../errors.ts";
import { strangersBehind } from "../../plugins/find-entry.ts";

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
  const names = [
    ...methods.flatMap((name) => name?.split("+") ?? []),
    ...(task === undefined ? [] : taskParts(task).map(({ name }) => name)),
    ...(source === "" || dataSources.some(({ name }) => name === source) ? [] : [source]),
  ];
  for (const name of names) {
    const [stranger] = await strangersBehind(name, cwd);
    if (stranger !== undefined)
      throw badJob(what, `'${name}' would load the package '${stranger}', which is no plugin`);
  }
}
