import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { draft, readJson, scratchRoot, startAgent } from "../support/agent.ts";
import { bundleDriver, drive, embedded, expectReadable, untilFinished } from "../support/crash.ts";
import { createHome } from "../support/home.ts";
import { startMaestro } from "../support/maestro.ts";

let driver: string;

beforeAll(async () => {
  const home = createHome();
  driver = await bundleDriver(home.path);
  return () => home.remove();
});

async function head(home: string): Promise<string> {
  const maestro = await startMaestro({ version: "head", home });
  onTestFinished(() => maestro.close());
  return maestro.url;
}

function keyOf(root: string, name: string): string | undefined {
  const file = path.join(root, "agents", name, "keys", "private.pem");
  return existsSync(file) ? readFileSync(file, "utf8") : undefined;
}

describe("kill -9 before any file operation of a registration", () => {
  it.each(["embedded", "head"])("leaves what a second one completes, with the same keys: %s", async (kind) => {
    const shared = kind === "embedded" ? await embedded() : undefined;
    const steps = await untilFinished(async (dieAt) => {
      const root = scratchRoot();
      const provider = shared ?? (await head(path.dirname(root)));
      const name = `bob-${dieAt}`;
      const result = await drive(driver, { root, provider, name, act: "register", dieAt });
      expectReadable(root);
      const key = keyOf(root, name);
      const agent = startAgent({ root, provider, agent: name });
      const { profile } = await agent.register({ name });
      if (key !== undefined) expect(keyOf(root, name), `operation ${dieAt}`).toBe(key);
      expect((await agent.send(draft(name))).id, `operation ${dieAt}`).toMatch(/^msg_/);
      const other = startAgent({ root, agent: name });
      expect((await other.waiting()).messages, `operation ${dieAt}`).toHaveLength(1);
      expect((await other.waiting()).offline).toBeUndefined();
      expect(readJson(root, "agents", ".index.json")).toEqual({ [name]: profile.agentId });
      expectReadable(root);
      return result;
    });
    expect(steps).toBeGreaterThan(20);
  });
});
