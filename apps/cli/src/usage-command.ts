/** Commander with our words: what was found, what is allowed, what to do, from the parser's own data. */
import { nearestName } from "@secateur/core";
import { badUsage } from "@secateur/run";
import { Command, type Option } from "commander";
import { badFlagValue } from "./errors.ts";

/** A command whose usage errors are ours. These methods are where commander puts its own messages together. */
export class UsageCommand extends Command {
  override createCommand(name?: string): UsageCommand {
    return new UsageCommand(name);
  }

  override addOption(option: Option): this {
    const { argChoices, long } = option;
    if (!argChoices) return super.addOption(option);
    option.argParser((found: string) => {
      if (argChoices.includes(found)) return found;
      throw badFlagValue({ flag: long ?? option.flags, found, allowed: argChoices.join(", ") });
    });
    return super.addOption(option);
  }

  unknownCommand(): never {
    const found = this.args[0] ?? "";
    const known = this.commands.map((command) => command.name());
    throw this.#refuse(`unknown command '${found}'`, { command: found, known });
  }

  unknownOption(flag: string): void {
    const [name = flag, value] = flag.split(/=(.*)/s);
    const option = this.options.find(({ long }) => long === name);
    if (value !== undefined && option && !option.required && !option.optional) {
      const opposite = name.startsWith("--no-") ? name.replace("--no-", "--") : name.replace("--", "--no-");
      const hasOpposite = this.options.some(({ long }) => long === opposite);
      const instead = value === "false" && hasOpposite ? opposite : name;
      const found = { flag: name, found: value, instead };
      throw badUsage(`${name} takes no value, found '${value}'; write ${instead}`, found);
    }
    const known = this.options.flatMap(({ long, hidden }) => (long && !hidden ? [long] : []));
    throw this.#refuse(`unknown option '${flag}'`, { flag, known });
  }

  missingArgument(name: string): never {
    throw this.#refuse(`missing required argument '${name}'`, { argument: name });
  }

  optionMissingArgument({ flags }: Option): never {
    throw this.#refuse(`option '${flags}' argument missing`, { flag: flags });
  }

  _excessArguments(found: readonly string[]): void {
    const allowed = this.registeredArguments.length;
    throw this.#refuse(`found ${found.length} arguments, allowed is ${allowed}`, { found: found.length, allowed });
  }

  #refuse(message: string, details: Readonly<Record<string, unknown>> & { readonly known?: readonly string[] }) {
    const typed = details["command"] ?? details["flag"];
    const near = details.known && typeof typed === "string" ? nearestName(typed, details.known) : undefined;
    const hint = near === undefined ? ";" : `; did you mean '${near}'?`;
    const { solver, solvers } = this.opts<{ readonly solver?: string; readonly solvers?: unknown }>();
    const has = this.options.some((one) => one.helpGroupHeading?.includes(`solver ${solver} `));
    const own = has ? ` --solver ${solver}` : "";
    const path = this.parent ? `secateur ${this.name()}${own}` : "secateur";
    if (solvers && details["flag"]) message += "; options of a solver are given here as --option SOLVER:KEY=VALUE";
    return badUsage(`${message}${hint} see '${path} --help'`, details);
  }
}
