/** Jobs that come from a queue are looked at before they are run: whoever writes into it need not be a command of ours. */
import type { JobContent } from "@secateur/jobs";
import { badJob } from "../../../errors.ts";
import { kernelChoices } from "../../../session.ts";

type SettingForm = "text" | "texts" | "whole" | "number" | "object" | "kernels";

const checks: Readonly<Record<SettingForm, (value: unknown) => boolean>> = {
  text: (value: unknown) => typeof value === "string",
  texts: (value: unknown) => Array.isArray(value) && value.every((one) => typeof one === "string"),
  whole: (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0,
  number: (value: unknown) => typeof value === "number",
  object: (value: unknown) => typeof value === "object" && value !== null && !Array.isArray(value),
  kernels: (value: unknown) => kernelChoices.some((one) => one === value),
};

/** @param spec.what - for the message, such as "a job that prunes"; `settings` by name, dots between what lies within another. @throws ERR_JOB where a setting is missing or no such thing, or an input is missing */
export function checkJob(
  { settings, inputs }: JobContent,
  spec: {
    readonly what: string;
    readonly settings: Readonly<Record<string, SettingForm>>;
    readonly inputs: readonly string[];
  },
): void {
  for (const [name, kind] of Object.entries(spec.settings)) {
    const found = name.split(".").reduce<unknown>((at, key) => (at as Record<string, unknown> | null)?.[key], settings);
    if (!checks[kind](found)) throw badJob(spec.what, `its setting '${name}' is none`);
  }
  const missing = spec.inputs.find((name) => typeof inputs[name] !== "string");
  if (missing !== undefined) throw badJob(spec.what, `it names no '${missing}'`);
}
