import { once } from "node:events";
import { writeFileSync } from "node:fs";
import net from "node:net";
import path from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { AmpError, systemCode } from "../../src/errors.ts";
import { type ProviderOptions, startProvider } from "../../src/provider/server.ts";
import { call, scratchDirectory } from "../support/provider.ts";

async function start(options: Partial<ProviderOptions> = {}) {
  const provider = await startProvider({ dataDirectory: scratchDirectory(), ...options });
  onTestFinished(() => provider.close());
  return provider;
}

async function failure(options: Partial<ProviderOptions>): Promise<AmpError> {
  const thrown: unknown = await start(options).catch((error: unknown) => error);
  if (!(thrown instanceof AmpError)) throw new Error("expected an AmpError");
  return thrown;
}

describe("starting", () => {
  it("listens on loopback only, on a free port, and says where", async () => {
    const { url, port } = await start();
    expect(url).toBe(`http://127.0.0.1:${port}`);
    expect((await call(url, "GET", "/api/v1/health")).body).toMatchObject({ status: "healthy", federation: false });
  });

  it.each(["0.0.0.0", "::", "192.168.1.5", "example.com", "127.0.0.1.example.com", "127.1", ""])(
    "refuses the host %j unless remote use is allowed",
    async (host) => {
      expect((await failure({ host })).code).toBe("refused");
    },
  );

  it("tells each client the endpoint that this client reached", async () => {
    const { port } = await start({ host: "0.0.0.0", allowRemote: true });
    for (const host of ["127.0.0.1", "127.0.0.2"]) {
      const { body } = await call(`http://${host}:${port}`, "GET", "/.well-known/agent-messaging.json", {
        headers: { Host: "evil.example" },
      });
      expect(body.endpoint).toBe(`http://${host}:${port}/api/v1`);
    }
  });

  it("says that a port is taken, so that the caller can use who is there", async () => {
    const first = await start();
    const second = await failure({ port: first.port });
    expect([second.code, systemCode(second)]).toEqual(["listen_failed", "EADDRINUSE"]);
    expect((await call(first.url, "GET", "/api/v1/health")).status).toBe(200);
  });

  it("refuses a tenant that is no label, and a directory it cannot make", async () => {
    expect((await failure({ tenant: "a.b" })).code).toBe("invalid_argument");
    const file = path.join(scratchDirectory(), "file");
    writeFileSync(file, "");
    expect((await failure({ dataDirectory: path.join(file, "data") })).code).toBe("storage_failed");
  });
});

describe("closing", () => {
  it("ends idle connections and frees the port, and may be asked for twice", async () => {
    const provider = await start();
    const socket = net.connect(provider.port, "127.0.0.1");
    await once(socket, "connect");
    socket.write("GET /api/v1/health HTTP/1.1\r\nHost: x\r\n\r\n");
    await once(socket, "data");
    const ended = once(socket, "close");
    await Promise.all([provider.close(), provider.close()]);
    await provider.close();
    await ended;
    await start({ port: provider.port });
  });

  it("does not wait for a client that never finishes its request", async () => {
    const provider = await start();
    const socket = net.connect(provider.port, "127.0.0.1");
    socket.on("error", () => undefined);
    await once(socket, "connect");
    socket.write("POST /api/v1/register HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{");
    await call(provider.url, "GET", "/api/v1/health");
    const ended = once(socket, "close");
    await provider.close();
    await ended;
  });
});
