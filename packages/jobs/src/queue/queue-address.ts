/** The address of a queue: which server, how to get in, and the queue's name on it. */
import { badAddress } from "../errors.ts";

/** A server and a queue on it. */
export interface QueueAddress {
  readonly backend: "redis" | "postgres";
  /** For people: without the password. */
  readonly shown: string;
  /** Of the queue on the server: letters, digits, "-", "_" and ".". */
  readonly name: string;
  /** What the server's client takes. */
  readonly connection: RedisConnection | PostgresConnection;
}

/** For ioredis. */
export interface RedisConnection {
  readonly host: string;
  readonly port: number;
  readonly db: number;
  readonly username?: string;
  readonly password?: string;
  /** Present for rediss:. Authorities of one's own come by NODE_EXTRA_CA_CERTS. */
  readonly tls?: { readonly servername: string };
}

/** For node-postgres. */
export interface PostgresConnection {
  readonly connectionString: string;
}

const backends: Readonly<Record<string, QueueAddress["backend"]>> = {
  "redis:": "redis",
  "rediss:": "redis",
  "postgres:": "postgres",
  "postgresql:": "postgres",
};

/** Reads redis://, rediss:// (TLS), postgres:// or postgresql://, with ?name=NAME for another queue than "secateur". @throws ERR_QUEUE */
export function parseQueueAddress(text: string): QueueAddress {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const backend = url && backends[url.protocol];
  // Of a text that is not an address nobody knows where its password is, so only how it begins is shown.
  const refuse = (): never => {
    throw badAddress(`${/^[a-z]{1,10}:/.exec(text)?.[0] ?? ""}...`);
  };
  if (!url || !backend || url.hostname === "") return refuse();
  const name = url.searchParams.get("name") ?? "secateur";
  const database = url.pathname.slice(1);
  const isBad = !/^[\w.-]{1,100}$/.test(name) || (backend === "redis" ? !/^\d{0,4}$/.test(database) : database === "");
  if (isBad) return refuse();
  const shown = shownAddress(url);
  url.searchParams.delete("name");
  if (backend === "postgres") return { backend, shown, name, connection: { connectionString: url.href } };
  const [username, password] = [decoded(url.username) ?? refuse(), decoded(url.password) ?? refuse()];
  // An IPv6 address stands in brackets in an address, and without them anywhere else.
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
  return {
    ...{ backend, shown, name },
    connection: {
      ...{ host, port: url.port === "" ? 6379 : Number(url.port), db: Number(database) },
      ...(username === "" ? {} : { username }),
      ...(password === "" ? {} : { password }),
      ...(url.protocol === "rediss:" ? { tls: { servername: host } } : {}),
    },
  };
}

/** An address as it may be printed: of its parameters only the queue's name, since clients take passwords from others. */
function shownAddress(url: URL): string {
  const password = url.password === "" ? "" : ":***";
  const user = url.username === "" && password === "" ? "" : `${url.username}${password}@`;
  const name = url.searchParams.get("name");
  return `${url.protocol}//${user}${url.host}${url.pathname === "/" ? "" : url.pathname}${name === null ? "" : `?name=${name}`}`;
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
