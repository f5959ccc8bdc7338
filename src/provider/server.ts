import { createServer, type Server } from "node:http";
import { isIPv4 } from "node:net";
import { getRequestListener } from "@hono/node-server";
import { AmpError, systemCode } from "../errors.ts";
import { isAgentName } from "../wire/address.ts";
import { CLOSE_GRACE, RATE_PER_MINUTE, SERVER_KEEP_ALIVE } from "../wire/limits.ts";
import { ApiKeys } from "./api-keys.ts";
import { Directory } from "./directory.ts";
import { Disk } from "./disk.ts";
import { Holds } from "./holds.ts";
import { Queue } from "./queue.ts";
import { RateLimit } from "./rate.ts";
import { httpUrl, providerApp } from "./routes.ts";

export interface ProviderOptions {
  /** Where registrations and queues live. Two providers may share one. */
  dataDirectory: string;
  /** Default 127.0.0.1. */
  host?: string;
  /** Default 0: any free one. */
  port?: number;
  /** One label. Agents are `name@<tenant>.aimaestro.local`. Default `local`. */
  tenant?: string;
  /** Messages one agent may send in a minute; 0 for no limit. */
  ratePerMinute?: number;
  /** Anybody who reaches the port can register, so a host beyond loopback has to be asked for. */
  allowRemote?: boolean;
  /** Milliseconds since 1970. */
  now?: () => number;
  /** Told about each request that failed here (status 500), for a log. */
  onError?: (thrown: unknown) => void;
}

export interface Provider {
  /** `http://127.0.0.1:PORT`, without a slash at the end. */
  url: string;
  port: number;
  /** How many requests wait for a message now. */
  readonly held: number;
  /**
   * Answers held requests with what there is, ends idle connections at once and the others shortly after. Calling it
   * again waits for the same end.
   */
  close(): Promise<void>;
}

/**
 * Serves the guide's API until closed. Throws `refused` for a host beyond loopback, `invalid_argument` for a tenant
 * that is no label, `storage_failed`, and `listen_failed` with the system's error as cause (`systemCode` tells a
 * port that is taken, `EADDRINUSE`, from the others).
 */
export async function startProvider(options: ProviderOptions): Promise<Provider> {
  const { host = "127.0.0.1", port = 0, tenant = "local", ratePerMinute = RATE_PER_MINUTE, now = Date.now } = options;
  checkHost(host, options.allowRemote === true);
  checkTenant(tenant);
  const onError = options.onError ?? (() => undefined);
  const disk = await openDisk(options.dataDirectory, now());
  const directory = new Directory(disk);
  const holds = new Holds();
  const app = providerApp({
    directory,
    apiKeys: new ApiKeys(disk, directory),
    queue: new Queue(disk, (agentId) => holds.ring(agentId)),
    holds,
    rate: new RateLimit(ratePerMinute),
    tenant,
    ratePerMinute,
    now,
    onError,
  });
  const server = createServer(getRequestListener(app.fetch, { overrideGlobalObjects: false }));
  server.keepAliveTimeout = SERVER_KEEP_ALIVE;
  await listen(server, host, port);
  server.on("error", onError);
  const bound = server.address();
  if (typeof bound !== "object" || bound === null) throw new Error("a TCP server has an address and a port");
  let closing: Promise<void> | undefined;
  return {
    url: httpUrl(reachable(bound.address), bound.port),
    port: bound.port,
    get held() {
      return holds.size;
    },
    close: () => {
      holds.close();
      closing ??= close(server);
      return closing;
    },
  };
}

function checkHost(host: string, allowRemote: boolean): void {
  if (allowRemote || isLoopback(host)) return;
  throw new AmpError("refused", {
    message: `A provider on ${host} could be used by every machine that reaches it: registering needs no password.`,
    notDone: "The provider was not started.",
    next: "Leave the host at 127.0.0.1, or allow remote use explicitly on a network you trust.",
    mender: "person",
  });
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIPv4(host) && host.startsWith("127."));
}

function checkTenant(tenant: string): void {
  if (isAgentName(tenant)) return;
  throw new AmpError("invalid_argument", {
    message: `A tenant is one label of lower-case letters, digits and inner hyphens; "${tenant}" is none.`,
    notDone: "The provider was not started.",
    next: "Give another tenant, or leave it out for `local`.",
    mender: "person",
  });
}

async function openDisk(dataDirectory: string, now: number): Promise<Disk> {
  const disk = new Disk(dataDirectory);
  try {
    await disk.open([...Directory.folders, ApiKeys.folder, Queue.folder], now);
    return disk;
  } catch (thrown) {
    throw new AmpError("storage_failed", {
      message: `The provider cannot write its directory ${disk.root} (${systemCode(thrown) ?? "unknown reason"}).`,
      notDone: "The provider was not started.",
      next: "Make this directory writable for this user, or choose another one.",
      mender: "person",
      cause: thrown,
    });
  }
}

async function listen(server: Server, host: string, port: number): Promise<void> {
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(port, host, () => {
        server.off("error", reject);
        resolve();
      });
    });
  } catch (thrown) {
    throw new AmpError("listen_failed", {
      message: `The provider cannot listen on ${host}, port ${port} (${systemCode(thrown) ?? "unknown reason"}).`,
      notDone: "The provider was not started.",
      next: "Use the provider that is there already, or choose another port; 0 takes a free one.",
      mender: "person",
      cause: thrown,
    });
  }
}

/** A server on all addresses is reached on this machine by the loopback one. */
function reachable(address: string): string {
  if (address === "0.0.0.0") return "127.0.0.1";
  return address === "::" ? "::1" : address;
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const grace = setTimeout(() => server.closeAllConnections(), CLOSE_GRACE);
    server.close(() => {
      clearTimeout(grace);
      resolve();
    });
    server.closeIdleConnections();
  });
}
