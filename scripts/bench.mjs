// Runs the benchmarks. Each prints a figure and its ratio to a yardstick that was measured in the same run.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { build } from "esbuild";

const scratch = mkdtempSync(path.join(tmpdir(), "amp-bench-"));
try {
  for (const file of readdirSync("test/bench").filter((name) => name.endsWith(".ts"))) {
    const outfile = path.join(scratch, file.replace(/ts$/, "mjs"));
    await build({
      entryPoints: [path.join("test/bench", file)],
      outfile,
      bundle: true,
      platform: "node",
      format: "esm",
      logLevel: "silent",
      banner: { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' },
    });
    const { status } = spawnSync(process.execPath, [outfile], { stdio: "inherit" });
    if (status !== 0) process.exitCode = 1;
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
