/** The packages that queues are made of, which only those who use queues install. */
import type * as BullMq from "bullmq";
import type * as IoRedis from "ioredis";
import type * as Pg from "pg";
import { queueNotInstalled } from "../errors.ts";
import { loadPackage } from "../load-package.ts";
import type { QueueAddress } from "./queue-address.ts";

/** @param cwd - the folder from which a package is looked for that is not beside this one */
export async function loadBullMq({ backend }: QueueAddress, cwd: string): Promise<typeof BullMq> {
  return await load<typeof BullMq>("bullmq", backend, cwd);
}

/** @throws ERR_QUEUE where it is not installed */
export async function loadIoRedis(cwd: string): Promise<typeof IoRedis> {
  return await load<typeof IoRedis>("ioredis", "redis", cwd);
}

/** @throws ERR_QUEUE where it is not installed */
export async function loadPg(cwd: string): Promise<typeof Pg> {
  return await load<typeof Pg>("pg", "postgres", cwd);
}

async function load<T>(name: string, backend: QueueAddress["backend"], cwd: string): Promise<T> {
  return await loadPackage<T>(name, cwd).catch((cause) => {
    throw queueNotInstalled(["bullmq", backend === "redis" ? "ioredis" : "pg"], cause);
  });
}
