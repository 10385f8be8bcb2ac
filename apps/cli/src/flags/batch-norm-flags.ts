/** Flags about batch normalisation and random changes of training images. */
import { reestimateTimes } from "@secateur/run";
import { type Command, Option } from "commander";
import { wholeParser } from "./number.ts";

/** --reestimate-batch-norm of the commands that prune. */
export function addReestimateFlag(command: Command): void {
  command.addOption(
    new Option(
      "--reestimate-batch-norm <when>",
      "measure the statistics of batch normalisation on the training split: before pruning, after it (and between its stages), both, or never (default: auto, which is both; with --retrain, which measures them itself, before it where the loss of training examples falls by it; the statistics of ONNX and TensorFlow.js models are matched to the dense ones, and that only where the loss falls by it)",
    ).choices(reestimateTimes),
  );
}

/** --crop-padding, --flip */
export function addAugmentationFlags(command: Command, purpose: string, byDefault = "0"): void {
  command
    .addOption(
      new Option(
        "--crop-padding <pixels>",
        `${purpose}: black pixels put around an image before a window of its own size is cut out at random (default: ${byDefault})`,
      ).argParser(wholeParser("--crop-padding", 0)),
    )
    .option("--flip", `${purpose}: every other image, at random, is mirrored left to right`);
}
