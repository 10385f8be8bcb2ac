/** The job that prunes some layers of a network to a number of weights and measures it: what `sensitivity` is made of. */
import { type Job, type JobContent, type JobKind, type Json, makeJob } from "@secateur/jobs";
import { pruneAndMeasure } from "../../../sensitivity/scan-layers.ts";
import type { Session } from "../../../session.ts";
import { type OpenedScan, openScan, type SensitivitySpec } from "../../sensitivity/run-sensitivity.ts";
import { type PortableInputs, viewInputs } from "../input-files.ts";
import { type Closable, type JobHost, outliving, type PortableSetting } from "../job-host.ts";
import { checkJob } from "./check-job.ts";
import { checkNames } from "./check-names.ts";

/** The name of the kind. */
export const layerKindName = "layers";

/** A scan without what is of one machine; `files` stands among the job's inputs. */
export type PortableScan = Omit<SensitivitySpec, "path" | "data" | "preprocess" | "cwd" | "session" | "elsewhere"> &
  PortableInputs &
  Pick<PortableSetting, "seed" | "kernels">;

interface LayerSettings {
  readonly scan: PortableScan;
  readonly names: readonly string[];
  readonly keep: number;
}

/** The kind. Gradients are taken once a thread, and kept for the layers to come. */
export function layerKind(host: JobHost): JobKind {
  return async (content, { store, signal, onEvent }) => {
    checkJob(content, {
      what: "a job that measures layers",
      settings: { scan: "object", "scan.seed": "whole", "scan.kernels": "kernels", names: "texts", keep: "whole" },
      inputs: ["files"],
    });
    const { scan: common, names, keep } = content.settings as unknown as LayerSettings;
    const { solver, task, data: source } = common;
    await checkNames({ what: "a job that measures layers", methods: [solver], task, data: source }, host.cwd);
    const portable: PortableScan = { ...common, files: content.inputs["files"]! };
    const session = await host.session(portable, { signal, onEvent });
    const opened = await keepScan(host, { portable, session }, async () => {
      const { path, data, preprocess } = await viewInputs(store, portable);
      const scan = { ...portable, path, data, preprocess, cwd: host.cwd, session: outliving(session) };
      const start = await openScan(scan);
      return { ...start, close: () => start.opened.close() };
    });
    const found = await pruneAndMeasure({ ...opened.scan, names, keep }, session.context());
    return { result: found as unknown as Json };
  };
}

/** A scan of the last job, where it is the same; the host closes its model. */
export async function keepScan(
  host: JobHost,
  { portable, session }: { portable: PortableScan; session: Session },
  open: () => Promise<OpenedScan & Closable>,
): Promise<OpenedScan> {
  const key = { ...portable, backend: session.kernels.name, scan: true } as unknown as Json;
  return await host.keep(key, open);
}

/** A job of this kind. */
export function layerJob(settings: LayerSettings, packages: JobContent["packages"]): Job {
  const { files, ...scan } = settings.scan;
  const { names, keep } = settings;
  const content = { kind: layerKindName, settings: { scan, names, keep } as unknown as Json, inputs: { files } };
  return makeJob(
    { ...content, after: [], packages },
    `${names.length > 3 ? `${names.length} layers` : names.join(", ")} to ${keep} weights`,
  );
}
