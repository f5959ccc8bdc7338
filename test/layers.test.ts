import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { brokenRules } from "./support/layers.ts";

const src = fileURLToPath(new URL("../src/", import.meta.url));

describe("the source", () => {
  it("keeps to the layers, with no file grown too long or named for nothing", () => {
    const sources = new Map(
      readdirSync(src, { recursive: true, encoding: "utf8" })
        .filter((file) => file.endsWith(".ts"))
        .map((file) => [file.split(path.sep).join("/"), readFileSync(path.join(src, file), "utf8")]),
    );
    expect(sources.size).toBeGreaterThan(5);
    expect(brokenRules(sources)).toEqual([]);
  });
});

describe("a broken rule is reported", () => {
  it.each([
    ["wire/a.ts", 'import { b } from "../store/b.ts";'],
    ["wire/a.ts", 'import type { B } from "../agent/b.ts";'],
    ["wire/a.ts", 'export * from "../client/b.ts";'],
    ["wire/a.ts", 'import {\n  one,\n  type Two,\n} from "../client/b.ts";'],
    ["wire/a.ts", 'import { readFile } from "node:fs/promises";'],
    ["wire/a.ts", 'import http from "node:http";'],
    ["wire/a.ts", 'import { request } from "undici";'],
    ["mcp/tools/send.ts", 'import { x } from "../../store/files.ts";'],
    ["mcp/a.ts", 'const x = await import("../provider/server.ts");'],
    ["mcp/a.ts", 'type X = import("../client/http.ts").X;'],
    ["mcp/a.ts", "const x = await import(name);\nconst y = await import(`../cli/cli.ts`);"],
    ["mcp/a.ts", 'import "../cli/cli.ts";'],
    ["provider/a.ts", 'import { x } from "../client/http.ts";'],
    ["client/a.ts", 'import { x } from "../store/files.ts";'],
    ["store/a.ts", 'const x = require("../client/http.ts");'],
    ["agent/a.ts", 'import { x } from "../mcp/server.ts";'],
    ["agent/a.ts", 'import manifest from "../../package.json" with { type: "json" };'],
    ["agent/a.ts", 'import { x } from "amp-mcp";'],
    ["bin.ts", 'import { x } from "./agent/agent.ts";'],
    ["errors.ts", 'import { x } from "./wire/json.ts";'],
    ["elsewhere/a.ts", "export const x = 1;"],
    ["agent/utils.ts", "export const x = 1;"],
    ["agent/helpers/x.ts", "export const x = 1;"],
    ["agent/common.ts", "export const x = 1;"],
    ["agent/a.ts", "process.exit(1);"],
    ["agent/a.ts", 'console.log("x");'],
    ["agent/a.ts", "export {};\n".repeat(401)],
  ])("%s: %j", (file, text) => {
    expect(brokenRules(new Map([[file, text]]))).not.toEqual([]);
  });
});

describe("what is allowed is not reported", () => {
  it.each([
    ["wire/a.ts", 'import { createHash } from "node:crypto";\nimport * as z from "zod";\nimport { b } from "./b.ts";'],
    ["wire/a.ts", 'import { AmpError } from "../errors.ts";\nimport { VERSION } from "../version.ts";'],
    ["mcp/tools/send.ts", 'import type { Agent } from "../../agent/agent.ts";\nimport { tool } from "../tool.ts";'],
    ["cli/cli.ts", 'const { serve } = await import("../mcp/server.ts");'],
    [
      "agent/a.ts",
      'import { x } from "../client/http.ts";\nimport { y } from "../store/files.ts";\nprocess.exitCode = 1;',
    ],
    ["bin.ts", 'import { main } from "./cli/cli.ts";\nprocess.exit(0);'],
    ["store/a.ts", "export {};\n".repeat(400)],
  ])("%s: %j", (file, text) => {
    expect(brokenRules(new Map([[file, text]]))).toEqual([]);
  });
});
