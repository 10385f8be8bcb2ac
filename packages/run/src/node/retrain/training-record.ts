/** How a network was trained, kept in its file: retraining takes its rates from there. */
import type { ZodType } from "zod";
import { zod } from "../zod.ts";
import { type OptimizerName, optimizerNames, type RateName, rateNames } from "./training-settings.ts";

/** The metadata entry that `secateur train` writes. */
export const trainingKey = "secateur.training";

/** What a training was made with. */
export interface TrainingRecord {
  readonly schedule: RateName;
  readonly learningRate: number;
  readonly epochs: number;
  readonly optimizer: OptimizerName;
  readonly batchSize: number;
  readonly momentum?: number;
  readonly nesterov?: boolean;
  readonly weightDecay: number;
  readonly labelSmoothing: number;
  readonly cropPadding: number;
  readonly flip: boolean;
  /** What --task named, of a task that compares outputs with targets of data; absent: what network and data go together in. */
  readonly task?: string;
}

/** The interface above, for what a file says. */
function recordSchema(): ZodType {
  const { z } = zod();
  return z.object({
    schedule: z.enum(rateNames),
    learningRate: z.number().gt(0),
    epochs: z.int().min(1),
    optimizer: z.enum(optimizerNames),
    batchSize: z.int().min(1),
    momentum: z.number().min(0).lt(1).optional(),
    nesterov: z.boolean().optional(),
    weightDecay: z.number().min(0),
    labelSmoothing: z.number().min(0).lt(1),
    cropPadding: z.int().min(0),
    flip: z.boolean(),
    task: z.string().max(1000).optional(),
  });
}

/** The record as the text of a metadata entry. */
export function encodeRecord(record: TrainingRecord): string {
  return JSON.stringify(record);
}

/** The record in a file's metadata; a text that is none counts as absent. */
export function readRecord(metadata: Readonly<Record<string, string>>): TrainingRecord | undefined {
  const text = metadata[trainingKey];
  if (text === undefined) return undefined;
  try {
    const result = recordSchema().safeParse(JSON.parse(text));
    return result.success ? (result.data as TrainingRecord) : undefined;
  } catch {
    return undefined;
  }
}
