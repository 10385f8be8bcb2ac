/** What stands in a queue: hashes, a name for people, and which store they are in. Nothing of it is run. */

/** The name that all our messages bear. */
export const messageName = "secateur-job";

/** The one shape of a message. */
export interface Message {
  readonly format: 1;
  /** Id of the store that holds the job's content. */
  readonly store: string;
  /** Id of the job, or of a blob that a worker shows to see (`probe`). */
  readonly job: string;
  readonly label: string;
  readonly probe?: true;
  /** Set while it runs: whoever submitted it wants it no more. */
  readonly cancelled?: true;
}

/** Whether data from a queue is a message of ours; everything else belongs to another program. */
export function isMessage(name: string, data: unknown): data is Message {
  const { format, store, job, label } = (data ?? {}) as Partial<Message>;
  const isText = (value: unknown): boolean => typeof value === "string" && value.length <= 1000;
  return name === messageName && format === 1 && isText(store) && isText(label) && /^[0-9a-f]{64}$/.test(job ?? "");
}
