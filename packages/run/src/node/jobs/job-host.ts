/** What jobs of one thread share: kernels, and the model and data that the last of them had open. */
import { createRunContext } from "@secateur/core";
import { encodeJson, hashOf, type Json, type Store } from "@secateur/jobs";
import { type SharedGradients, shareGradients } from "../../compare/shared-gradients.ts";
import type { KernelChoice, Session } from "../../session.ts";
import { type ComparedSetting, openSetting, type SettingSpec } from "../compare/compared-setting.ts";
import { asksForMatching } from "../open/any-model-settings.ts";
import { openAnyModel } from "../open/open-any-model.ts";
import { openKernels } from "../open/open-kernels.ts";
import { type PortableInputs, viewInputs } from "./input-files.ts";

/** What all jobs of a plan have in common, beside their inputs. */
export type PortableSetting = Omit<SettingSpec, "path" | "data" | "preprocess" | "cwd"> &
  PortableInputs & {
    readonly seed: number;
    readonly kernels: KernelChoice;
    /** Whether training examples are held out to choose among runs by, and the network is packed to tell its bytes. */
    readonly chooses: boolean;
  };

/** A setting as it was opened, and gradients that its runs have in common. */
export interface OpenedSetting {
  readonly setting: ComparedSetting;
  readonly shared: SharedGradients;
  close(): void;
}

export interface Closable {
  close(): void;
}

/** Owns what jobs of one thread share. */
export interface JobHost {
  /** The folder from which plugins are looked for. */
  readonly cwd: string;
  /** What a job may take of the memory of a worker with a limit. */
  readonly shareBytes: number | undefined;
  /** The surroundings of a job. */
  session(
    portable: Pick<PortableSetting, "seed" | "kernels">,
    around: Pick<Session, "signal" | "onEvent">,
  ): Promise<Session>;
  /** What was opened last, where the key is the same; else that is closed, and this opened. One thing is open at a time: models and data fill memory. */
  keep<T extends Closable>(key: Json, open: () => Promise<T>): Promise<T>;
  /** Model and data of a job: those of the last one, where they are the same. */
  setting(portable: PortableSetting, session: Session, store: Store): Promise<OpenedSetting>;
  /** Has the next jobs of a setting start from one that is open already; whoever opened it closes it, after the host. */
  remember(portable: PortableSetting, session: Session, setting: ComparedSetting): Promise<void>;
  close(): Promise<void>;
}

/**
 * Opens nothing until a job asks.
 *
 * @param spec.session - whose kernels jobs take where they ask for that kind; default: ones of their own, on one thread, because jobs already
 * fill the processors. Results do not depend on it.
 */
export function jobHost(spec: {
  cwd: string;
  shareBytes?: number | undefined;
  session?: Pick<Session, "kernels" | "kernelChoice">;
}): JobHost {
  const { cwd, session: host } = spec;
  const made = new Map<KernelChoice, ReturnType<typeof openKernels>>();
  let last: { readonly key: string; readonly one: Promise<Closable> } | undefined;
  const closeLast = async (): Promise<void> => {
    const before = last;
    last = undefined;
    (await before?.one.catch(() => undefined))?.close();
  };
  const keep = async <T extends Closable>(what: Json, open: () => Promise<T>): Promise<T> => {
    const key = hashOf(encodeJson(what));
    if (last?.key !== key) {
      await closeLast();
      const one = open();
      last = { key, one };
      // What could not be opened is not kept.
      one.catch(() => {
        if (last?.one === one) last = undefined;
      });
    }
    // The key says what it is.
    return (await last!.one) as T;
  };
  const keepSetting = (
    portable: PortableSetting,
    session: Session,
    open: () => Promise<ComparedSetting>,
  ): Promise<OpenedSetting> =>
    keep({ ...portable, backend: session.kernels.name } as unknown as Json, async () => {
      const [setting, shared] = [await open(), shareGradients()];
      const close = (): void => {
        shared.release();
        setting.first.close();
      };
      return { setting, shared, close };
    });
  return {
    ...{ cwd, shareBytes: spec.shareBytes },
    async session({ seed, kernels: kernelChoice }, { signal, onEvent }) {
      const given = host?.kernelChoice === kernelChoice ? host.kernels : undefined;
      if (!given && !made.has(kernelChoice)) {
        made.set(kernelChoice, openKernels(kernelChoice, kernelChoice === "wasm" ? 1 : undefined));
      }
      const kernels = given ?? (await made.get(kernelChoice)!).kernels;
      const context = () => createRunContext({ seed, kernels, signal, onEvent });
      return { kernels, kernelChoice, seed, signal, onEvent, context };
    },
    keep,
    setting: (portable, session, store) =>
      keepSetting(portable, session, async () => {
        const at: SettingSpec = { ...portable, ...(await viewInputs(store, portable)), cwd };
        const quiet = outliving(session);
        const { path, arch, engine, includeFrozen } = at;
        const corrects = asksForMatching(at.reestimateBatchNorm);
        const first = await openAnyModel({ path, arch, engine, includeFrozen, corrects, cwd, onEvent: () => {} });
        return await openSetting({ ...at, first, heldOut: portable.chooses ? "auto" : 0 }, quiet);
      }),
    async remember(portable, session, setting) {
      // Whoever opened it closes it.
      await keepSetting(portable, session, async () => ({ ...setting, first: { ...setting.first, close: () => {} } }));
    },
    async close() {
      await closeLast();
      for (const one of made.values()) await (await one).close();
    },
  };
}

/** A session for what stays open when its job is over: no later job is to hear that this one was called off. */
export function outliving({ kernels, kernelChoice, seed }: Session): Session {
  const { signal } = new AbortController();
  const onEvent = (): void => {};
  const context = () => createRunContext({ seed, kernels, signal, onEvent });
  return { kernels, kernelChoice, seed, signal, onEvent, context };
}
