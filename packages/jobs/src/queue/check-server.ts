/** Whether a queue's server is there, lets us in, is new enough, and keeps what it is given. Asked before any work. */
import { isPruneError } from "@secateur/core";
import { queueUnreachable } from "../errors.ts";
import { loadIoRedis, loadPg } from "./load-packages.ts";
import type { PostgresConnection, QueueAddress, RedisConnection } from "./queue-address.ts";

/** A server that does not answer within this is taken for unreachable. */
const connectMs = 5000;

/** Below, streams and scripts lack what the queue uses. */
const oldestRedis = [6, 2] as const;
const oldestPostgres = 13;

/** @throws ERR_QUEUE: unreachable, wrong password, too old, or one that forgets */
export async function checkServer(address: QueueAddress, cwd: string): Promise<void> {
  if (address.backend === "redis") await checkRedis(address, cwd);
  else await checkPostgres(address, cwd);
}

async function checkRedis({ shown, connection }: QueueAddress, cwd: string): Promise<void> {
  const { Redis } = await loadIoRedis(cwd);
  const client = new Redis({
    ...(connection as RedisConnection),
    ...{ lazyConnect: true, connectTimeout: connectMs, maxRetriesPerRequest: 0, commandTimeout: connectMs },
    retryStrategy: () => null,
  });
  let said: unknown;
  client.on("error", (error: unknown) => {
    said ??= error;
  });
  try {
    await client.connect();
    refuseServer(await client.info(), shown);
  } catch (error) {
    throw isPruneError(error) ? error : unreachable(shown, said ?? error);
  } finally {
    client.disconnect();
  }
}

/**
 * Looks at what a server says of itself.
 *
 * @param info - the answer to INFO; Valkey says there which version of Redis it stands for
 * @throws ERR_QUEUE where it is too old, or forgets
 */
export function refuseServer(info: string, shown: string): void {
  const field = (name: string): string => new RegExp(`^${name}:(.*)$`, "m").exec(info)?.[1]?.trim() ?? "";
  const version = field("redis_version");
  const [major = 0, minor = 0] = version.split(".").map(Number);
  if (major < oldestRedis[0] || (major === oldestRedis[0] && minor < oldestRedis[1])) {
    const found = `the server is Redis ${version}, and the queue needs ${oldestRedis.join(".")} or later, or Valkey`;
    throw queueUnreachable(shown, found, "update it, or name another server");
  }
  const policy = field("maxmemory_policy");
  if (policy !== "noeviction") {
    const found = `the server throws keys away when its memory is full (maxmemory-policy ${policy}), and jobs with them`;
    throw queueUnreachable(shown, found, "set maxmemory-policy noeviction on it");
  }
}

async function checkPostgres({ shown, connection }: QueueAddress, cwd: string): Promise<void> {
  const { Client } = await loadPg(cwd);
  const client = new Client({ ...(connection as PostgresConnection), connectionTimeoutMillis: connectMs });
  client.on("error", () => {}); // what a query throws says it
  try {
    await client.connect();
    const { rows } = await client.query<{ server_version_num: string }>("SHOW server_version_num");
    const major = Math.floor(Number(rows[0]!.server_version_num) / 10_000);
    if (major < oldestPostgres) {
      const found = `the server is PostgreSQL ${major}, and the queue needs ${oldestPostgres} or later`;
      throw queueUnreachable(shown, found, "update it, or name another server");
    }
  } catch (error) {
    throw isPruneError(error) ? error : unreachable(shown, error);
  } finally {
    await client.end().catch(() => {});
  }
}

function unreachable(shown: string, error: unknown): Error {
  // Where a name has several addresses, the reason stands in the errors of each.
  const { code = "", message = "", errors } = error as { code?: string; message?: string; errors?: unknown[] };
  const text = message === "" && errors?.[0] instanceof Error ? errors[0].message : message;
  // Servers say this in English words and nothing else.
  const refused = [/^(WRONGPASS|NOAUTH|ERR AUTH|ERR invalid password)/, /^NOPERM/].some((one) => one.test(text));
  if (refused || code === "28P01" || code === "28000") {
    return queueUnreachable(
      shown,
      `the server refuses the user or the password (${text.split(". ")[0]})`,
      "give them as redis://USER:PASSWORD@HOST, best by SECATEUR_QUEUE, which no list of processes shows",
    );
  }
  if (/CERT|ISSUER|ALTNAME|SSL_/.test(code)) {
    return queueUnreachable(
      shown,
      `the server's certificate is not accepted (${text})`,
      "name the certificate of its authority in NODE_EXTRA_CA_CERTS, and the host as the certificate has it",
    );
  }
  return queueUnreachable(
    shown,
    `the server cannot be reached (${text || code || "it did not answer"})`,
    "check the address, and that it runs and lets this machine in",
  );
}
