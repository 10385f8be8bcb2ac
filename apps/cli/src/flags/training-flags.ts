import { optimizerNames, rateNames } from "@secateur/run/node/retrain/training-settings";
import { type Command, Option } from "commander";
import { numberParser } from "./number.ts";

/** --optimizer, --nesterov, --schedule, --label-smoothing */
export function addTrainingFlags(command: Command): void {
  command
    .addOption(new Option("--optimizer <name>", "how a gradient becomes a step (default: sgd)").choices(optimizerNames))
    .option("--nesterov", "look ahead along the momentum (sgd only)")
    .addOption(
      new Option(
        "--schedule <name>",
        "how the learning rate goes: one-cycle rises over a tenth of the steps and falls to 0; cosine; step falls tenfold at a half and three quarters; constant (default: one-cycle)",
      ).choices(rateNames),
    )
    .addOption(
      new Option("--label-smoothing <x>", "share of the target spread over all classes (default: 0)").argParser(
        numberParser({
          flag: "--label-smoothing",
          allowed: "a number from 0 to below 1",
          accepts: (value) => value >= 0 && value < 1,
        }),
      ),
    );
}
