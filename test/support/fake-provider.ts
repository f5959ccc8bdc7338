import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";

/** What a provider does with one request. */
export type Act =
  | { act: "answer"; status: number; headers?: Record<string, string>; body?: unknown }
  /** Takes the connection and the request, and hangs up without a word. Whether it acted on it, nobody knows. */
  | { act: "hang-up" }
  /** Takes the request and says nothing, for ever. */
  | { act: "silence" }
  /** Begins a good answer and goes on a byte at a time, never to the end. */
  | { act: "drip" }
  /** Begins a good answer and goes on as fast as it is read, never to the end. */
  | { act: "endless" }
  /** Announces more bytes than it sends, then hangs up. */
  | { act: "cut-short" }
  /** Takes the request, and does what comes when it comes. */
  | { act: "held"; until: Promise<Act> };

export interface FakeRequest {
  method: string;
  /** With the query. */
  path: string;
  headers: IncomingHttpHeaders;
  /** As it came. */
  body: string;
}

export interface FakeProvider {
  /** `http://127.0.0.1:PORT`. */
  url: string;
  /** Every request that arrived in full, in order. */
  requests: readonly FakeRequest[];
  /** Connections accepted so far. */
  connections(): number;
  close(): Promise<void>;
}

/**
 * A provider that behaves as it is told, request by request: by the list `script`, whose last entry holds for all
 * that follow, or by a function of the request and its number from 0.
 *
 * @param upgrade What it does with a connection that is to become a WebSocket. It closes it, too.
 */
export async function startFakeProvider(
  script: readonly Act[] | ((request: FakeRequest, index: number) => Act),
  upgrade?: (incoming: IncomingMessage, connection: Duplex) => void,
): Promise<FakeProvider> {
  const requests: FakeRequest[] = [];
  const drips = new Set<NodeJS.Timeout>();
  let connections = 0;
  const choose = typeof script === "function" ? script : (_: FakeRequest, i: number) => script[i] ?? script.at(-1);
  const server = createServer((incoming, outgoing) => {
    const chunks: Buffer[] = [];
    incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
    incoming.on("end", () => {
      const { method = "", url: path = "/", headers } = incoming;
      const request = { method, path, headers, body: Buffer.concat(chunks).toString("utf8") };
      requests.push(request);
      perform(choose(request, requests.length - 1) ?? { act: "silence" }, outgoing, drips);
    });
  });
  if (upgrade) server.on("upgrade", upgrade);
  server.on("connection", () => {
    connections += 1;
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: urlOf(server.address()),
    requests,
    connections: () => connections,
    close: () =>
      new Promise((resolve) => {
        for (const drip of drips) clearInterval(drip);
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** An address on which nobody listens: a connection is refused at once. */
export async function refusedUrl(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = urlOf(server.address());
  await new Promise((resolve) => server.close(resolve));
  return url;
}

const JSON_TYPE = { "content-type": "application/json" };

function perform(act: Act, outgoing: ServerResponse, drips: Set<NodeJS.Timeout>) {
  switch (act.act) {
    case "answer":
      return answer(act.status, act.headers ?? {}, act.body, outgoing);
    case "hang-up":
      return outgoing.socket?.destroy();
    case "silence":
      return;
    case "drip": {
      outgoing.writeHead(200, JSON_TYPE).write('{"message":"');
      const drip = setInterval(() => outgoing.write("."), 20);
      drips.add(drip);
      return outgoing.on("close", () => clearInterval(drip));
    }
    case "endless":
      outgoing.writeHead(200, JSON_TYPE).write('{"message":"');
      return pour(outgoing);
    case "cut-short":
      outgoing.writeHead(200, { ...JSON_TYPE, "content-length": "1000" });
      return outgoing.write('{"message":"', () => outgoing.socket?.destroy());
    case "held":
      return void act.until.then((then) => !outgoing.destroyed && perform(then, outgoing, drips));
  }
}

/** Text is sent as it is, anything else as JSON. */
function answer(status: number, headers: Record<string, string>, body: unknown, outgoing: ServerResponse) {
  const type = typeof body === "string" ? { "content-type": "text/html" } : JSON_TYPE;
  outgoing.writeHead(status, { ...(body !== undefined && type), ...headers });
  return outgoing.end(typeof body === "string" || body === undefined ? body : JSON.stringify(body));
}

function pour(outgoing: ServerResponse) {
  const chunk = "x".repeat(64 * 1024);
  const more = () => {
    while (!outgoing.destroyed && outgoing.write(chunk));
  };
  outgoing.on("drain", more);
  more();
}

function urlOf(address: ReturnType<ReturnType<typeof createServer>["address"]>): string {
  if (address === null || typeof address === "string") throw new Error("the server has no port");
  return `http://127.0.0.1:${address.port}`;
}
