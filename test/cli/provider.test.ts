import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { expect, it, onTestFinished } from "vitest";
import { testHome, testProvider } from "../support/assistant.ts";
import { run } from "../support/command.ts";
import { EXECUTABLE } from "../support/host.ts";
import { call, message, registerAgent, send } from "../support/provider.ts";

it.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)(
  "amp-mcp provider says where it is, serves, and ends with 0 on %s",
  async (signal) => {
    const home = testHome();
    const args = ["provider", "--port", "0", "--tenant", "acme", "--data", home.at("data"), "--rate-limit", "0"];
    const child = spawn(process.execPath, [EXECUTABLE, ...args], {
      env: home.env,
      stdio: ["ignore", "pipe", "inherit"],
    });
    onTestFinished(() => void child.kill("SIGKILL"));
    const [line] = await once(createInterface(child.stdout), "line");
    const [, url = ""] = /^AMP provider for tenant "acme" at (http:\/\/127\.0\.0\.1:\d+)$/.exec(String(line)) ?? [];
    const agent = await registerAgent(url, "bot", { tenant: "acme" });
    expect(agent.address).toBe("bot@acme.aimaestro.local");
    for (let i = 0; i < 70; i++) expect((await send(url, agent, message("bot"))).status).toBe(200);
    const ended = once(child, "exit");
    child.kill(signal);
    child.kill(signal);
    expect(await ended).toEqual([0, null]);
    await expect(call(url, "GET", "/api/v1/health")).rejects.toThrow();
  },
);

it("a port that is taken, a bad number and an address beyond this machine are errors that say what to do", async () => {
  const { url } = await testProvider();
  const home = testHome();
  const provider = (...args: string[]) => run(["provider", "--data", home.at("data"), ...args], { env: home.env });
  const taken = await provider("--port", new URL(url).port);
  expect(taken).toMatchObject({ code: 1, stdout: "" });
  expect(taken.stderr).toMatch(/^listen_failed: .*EADDRINUSE.*\nNot done: .*\nNext: .*another port/);
  expect(await provider("--port", "http")).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("--port: expected"),
  });
  expect(await provider("--host", "0.0.0.0")).toMatchObject({ code: 1, stderr: expect.stringContaining("refused: ") });
  expect(await provider("--tenant", "a.b")).toMatchObject({ code: 1, stderr: expect.stringContaining("A tenant is") });
});
