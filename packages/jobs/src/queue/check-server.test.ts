import { execFile, execFileSync } from "node:child_process";
import { join } from "node:path";
import process from "node:process";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { freePort, hasRedis, isThere, startRedis, testFolder } from "../testing.test-support.ts";
import { checkServer, refuseServer } from "./check-server.ts";
import { parseQueueAddress } from "./queue-address.ts";

const cwd = process.cwd();
const hasOpenssl = isThere("openssl", "version");
if (!hasOpenssl) process.stderr.write("test of a queue with TLS skipped: install openssl\n");

test("a server that is too old, or forgets, is refused by what it says of itself", () => {
  const said = (version: string, policy = "noeviction", more = ""): string =>
    `# Server\r\nredis_version:${version}\r\n${more}redis_mode:standalone\r\n\r\n# Memory\r\nmaxmemory_policy:${policy}\r\n`;
  for (const old of ["5.0.7", "6.0.16", "6.1.9", ""]) {
    expect(() => refuseServer(said(old), "redis://host:1")).toThrow(
      `the server is Redis ${old}, and the queue needs 6.2`,
    );
  }
  // Valkey 8 says that it is Redis 7.2.4.
  for (const good of ["6.2.0", "6.10.1", "7.0.15", "10.0.0"])
    refuseServer(said(good, "noeviction", "server_name:valkey\r\n"), "x");
  expect(() => refuseServer(said("7.0.15", "volatile-ttl"), "x")).toThrow("maxmemory-policy volatile-ttl");
});

test.runIf(hasRedis)(
  "a user that a server without passwords does not know is refused, and a password alone does no harm",
  async () => {
    const { port } = await startRedis();
    await expect(checkServer(parseQueueAddress(`redis://somebody:secret@127.0.0.1:${port}`), cwd)).rejects.toThrow(
      /refuses the user or the password/,
    );
    await checkServer(parseQueueAddress(`redis://:secret@127.0.0.1:${port}`), cwd);
  },
);

/** A server with TLS, whose certificate signs itself. */
async function startTls(): Promise<{ url: string; certificate: string }> {
  const folder = await testFolder();
  const [key, certificate] = [join(folder, "key.pem"), join(folder, "cert.pem")];
  const request = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
  const name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
  execFileSync("openssl", [...request, ...name, "-keyout", key, "-out", certificate], { stdio: "ignore" });
  const files = ["--tls-cert-file", certificate, "--tls-key-file", key, "--tls-ca-cert-file", certificate];
  const port = await freePort();
  await startRedis("--tls-port", String(port), ...files, "--tls-auth-clients", "no", "--requirepass", "word");
  return { url: `rediss://:word@localhost:${port}`, certificate };
}

test.runIf(hasRedis && hasOpenssl)(
  "a server with TLS is reached by who knows its authority, and by nobody else",
  async () => {
    const { url, certificate } = await startTls();
    await expect(checkServer(parseQueueAddress(url), cwd)).rejects.toThrow(
      /certificate is not accepted.*NODE_EXTRA_CA_CERTS/,
    );
    // Node reads the variable when it starts.
    const [check, parse] = ["./check-server.ts", "./queue-address.ts"].map(
      (file) => new URL(file, import.meta.url).href,
    );
    const script = `
    const { checkServer } = await import("${check}");
    const { parseQueueAddress } = await import("${parse}");
    await checkServer(parseQueueAddress(process.env.QUEUE), process.cwd());
    process.stdout.write("let in");`;
    const env = { ...process.env, QUEUE: url, NODE_EXTRA_CA_CERTS: certificate };
    const argv = ["--input-type=module", "--eval", script];
    const { stdout } = await promisify(execFile)(process.execPath, argv, { env });
    expect(stdout).toBe("let in");
  },
  60_000,
);
