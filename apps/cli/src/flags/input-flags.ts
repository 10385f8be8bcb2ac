/** What an ONNX model leaves open of its inputs. */
import type { Command } from "commander";
import { collect } from "./common-flags.ts";

/** As commander gives them. */
export interface InputFlags {
  readonly inputShape?: readonly string[];
  readonly fix?: readonly string[];
  readonly state?: readonly string[];
}

/** Adds the group. */
export function addInputFlags(command: Command, { hasState }: { hasState: boolean }): void {
  command
    .optionsGroup("Inputs of an ONNX model (each may be repeated):")
    .option("--input-shape <name=extents>", "extents it leaves open: x=batch,3,48,320", collect)
    .option("--fix <name=number>", "make an input a constant: sr=16000", collect);
  if (hasState)
    command.option("--state <input=output>", "an input that takes what an output was in the run before: h=hn", collect);
}
