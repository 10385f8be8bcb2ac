import { badOption } from "./errors.ts";

/** What a numeric option may be. */
export interface NumberRange {
  /** Smallest allowed value; default -Infinity. */
  readonly least?: number;
  /** Default +Infinity, itself never allowed. */
  readonly most?: number;
  /** Whether `least` itself is refused; default false. */
  readonly above?: boolean;
  /** Whether `most` itself is refused; default false. */
  readonly below?: boolean;
  /** Whether only whole numbers are allowed; default false. */
  readonly whole?: boolean;
}

/**
 * Checks a numeric option where it enters; a command line has checked it by its schema, a caller in code has not.
 *
 * @returns the value
 * @throws ERR_OPTION for NaN, infinities, fractions where whole numbers are wanted, and values out of range
 */
export function checkNumber(where: string, name: string, value: number, range: NumberRange = {}): number {
  const {
    least = Number.NEGATIVE_INFINITY,
    most = Number.POSITIVE_INFINITY,
    above = false,
    below = false,
    whole = false,
  } = range;
  const fits =
    Number.isFinite(value) &&
    value >= least &&
    value <= most &&
    !(above && value === least) &&
    !(below && value === most);
  if (fits && (!whole || Number.isInteger(value))) return value;
  const kind = whole ? "a whole number" : "a finite number";
  const from = least === Number.NEGATIVE_INFINITY ? "" : above ? ` above ${least}` : ` of at least ${least}`;
  const to = most === Number.POSITIVE_INFINITY ? "" : ` and ${below ? "below" : "at most"} ${most}`;
  throw badOption(where, `option '${name}' is ${value}; give ${kind}${from}${to}`, {
    option: name,
    found: value,
    ...range,
  });
}
