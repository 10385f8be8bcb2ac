/** Tensors of a network that trains, and what a training is asked for, as bytes for another thread or machine. */
import type { Mask, RetrainRequest, StateTensor } from "@secateur/core";
import { decodeSafetensors, encodeSafetensors, type NamedTensor } from "@secateur/formats";

/** Tensors in their order, which files of theirs do not keep. */
export function encodeTensors(tensors: readonly StateTensor[]): Uint8Array {
  const named = tensors.map(({ name, shape, data }): NamedTensor => {
    return data instanceof Float64Array ? { name, shape, dtype: "f64", data } : { name, shape, dtype: "f32", data };
  });
  return encodeSafetensors({ tensors: named, metadata: { order: JSON.stringify(tensors.map(({ name }) => name)) } });
}

/** They again. @throws ERR_SAFETENSORS */
export function decodeTensors(bytes: Uint8Array): readonly StateTensor[] {
  const { tensors, metadata } = decodeSafetensors(bytes, "tensors of a training");
  const named = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  return (JSON.parse(metadata?.["order"] ?? "[]") as readonly string[]).map((name) => {
    const { shape, data } = named.get(name)!;
    return { name, shape, data: (data as StateTensor["data"]).slice() };
  });
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

/** It again. @throws ERR_SAFETENSORS */
export function decodeRequest(bytes: Uint8Array): Pick<RetrainRequest, "learningRate" | "masks"> {
  const { tensors } = decodeSafetensors(bytes, "a training's rates and masks");
  const rates = tensors.find(({ name }) => name === ratesName)!.data as Float64Array;
  const own = rates.slice();
  const masks = new Map<string, Mask>();
  for (const { name, data } of tensors) {
    if (name.startsWith(maskPrefix)) masks.set(name.slice(maskPrefix.length), (data as Mask).slice());
  }
  return { learningRate: (step) => own[step]!, masks };
}

const ratesName = "rates";
const maskPrefix = "mask/";
