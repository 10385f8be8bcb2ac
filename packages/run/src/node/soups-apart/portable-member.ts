/** Tensors of a network that trains, and what a training is asked for, as bytes for another thread or machine. */
import type { Mask, RetrainRequest, StateTensor } from "@secateur/core";
import { decodeSafetensors, encodeSafetensors, type NamedTensor } from "@secateur/formats";
import { badJob } from "../../errors.ts";

/** Tensors in their order, which files of theirs do not keep. */
export function encodeTensors(tensors: readonly StateTensor[]): Uint8Array {
  const named = tensors.map(({ name, shape, data }): NamedTensor => {
    return data instanceof Float64Array ? { name, shape, dtype: "f64", data } : { name, shape, dtype: "f32", data };
  });
  return encodeSafetensors({ tensors: named, metadata: { order: JSON.stringify(tensors.map(({ name }) => name)) } });
}

/** They again. @throws ERR_SAFETENSORS, ERR_JOB for bytes that hold others */
export function decodeTensors(bytes: Uint8Array): readonly StateTensor[] {
  const { tensors, metadata } = decodeSafetensors(bytes, "tensors of a training");
  const named = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  return orderOf(metadata?.["order"]).map((name) => {
    const { shape, data } = named.get(name) ?? refuse(`it has no tensor '${name}'`);
    if (!(data instanceof Float32Array || data instanceof Float64Array)) return refuse(`'${name}' holds no f32 or f64`);
    return { name, shape, data: data.slice() };
  });
}

function orderOf(text: string | undefined): readonly string[] {
  try {
    const order: unknown = JSON.parse(text ?? "");
    if (Array.isArray(order) && order.every((name) => typeof name === "string")) return order;
  } catch {
    // Said below.
  }
  return refuse("its tensors have no order");
}

function refuse(reason: string): never {
  throw badJob("a job that trains a member of a soup", reason);
}

/** What does not stand in a training's tensors: the rate of each of its steps, and masks. */
export type MemberRequest = Pick<RetrainRequest, "learningRate" | "masks"> & { readonly steps: number };

/** 8 bytes a step, and one a weight. */
export function encodeRequest({ learningRate, masks, steps }: MemberRequest): Uint8Array {
  const rates = Float64Array.from({ length: steps }, (_, step) => learningRate(step));
  const tensors: NamedTensor[] = [{ name: ratesName, shape: [steps], dtype: "f64", data: rates }];
  for (const [name, data] of masks) {
    tensors.push({ name: `${maskPrefix}${name}`, shape: [data.length], dtype: "u8", data });
  }
  return encodeSafetensors({ tensors, metadata: {} });
}

/** It again. @throws ERR_SAFETENSORS, ERR_JOB for bytes that hold something else; asked for a rate beyond its steps, ERR_JOB */
export function decodeRequest(bytes: Uint8Array): Pick<RetrainRequest, "learningRate" | "masks"> {
  const { tensors } = decodeSafetensors(bytes, "a training's rates and masks");
  const rates = tensors.find(({ name }) => name === ratesName)?.data;
  if (!(rates instanceof Float64Array)) return refuse("it has no learning rates");
  const own = rates.slice();
  const masks = new Map<string, Mask>();
  for (const { name, data } of tensors) {
    if (!name.startsWith(maskPrefix)) continue;
    if (!(data instanceof Uint8Array)) return refuse(`mask '${name}' holds no bytes`);
    masks.set(name.slice(maskPrefix.length), data.slice());
  }
  return {
    learningRate: (step) => own[step] ?? refuse(`it has ${own.length} learning rates, and none for step ${step}`),
    masks,
  };
}

const ratesName = "rates";
const maskPrefix = "mask/";
