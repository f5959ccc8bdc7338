/**
 * Builds dist/ anew: `bin.js`, the executable with everything it needs inside, and `index.js` with `index.d.ts`, the
 * library, whose dependencies stay outside so that an application has them once.
 */
import { execFileSync } from "node:child_process";
import { chmod, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";
import { build } from "esbuild";

const root = path.resolve(import.meta.dirname, "..");
const dist = path.join(root, "dist");
const { version } = JSON.parse(await readFile(path.join(root, "package.json"), "utf8"));

const AGENT = 'export { default as Agent } from "undici/lib/dispatcher/agent.js";';

const common = {
  absWorkingDir: root,
  outdir: "dist",
  bundle: true,
  format: "esm",
  platform: "node",
  target: "node20.18",
  define: { __AMP_MCP_VERSION__: JSON.stringify(version) },
  logLevel: "warning",
};

await rm(dist, { recursive: true, force: true });
const executable = await build({
  ...common,
  entryPoints: ["src/bin.ts"],
  // A command must not pay for the MCP SDK: each dynamic import becomes a file of its own.
  splitting: true,
  chunkNames: "chunks/[name]-[hash]",
  minify: true,
  legalComments: "linked",
  metafile: true,
  plugins: [connectionsOnly(), hookApart()],
  // Packages written as CommonJS (undici) ask for Node's modules by `require`, which an ES module does not have.
  banner: {
    js: 'import{createRequire as __createRequire}from"node:module";const require=__createRequire(import.meta.url);',
  },
});
// One file, because each file of a program costs it a millisecond, and a hook has few.
await build({ ...common, entryPoints: { hook: "src/cli/commands/hook.ts" }, minify: true });
await build({ ...common, entryPoints: ["src/index.ts"], packages: "external" });
declarations();
await makeRunnable(path.join(dist, "bin.js"));
await writeFile(path.join(dist, "THIRD-PARTY-LICENSES.txt"), await licences(Object.keys(executable.metafile.inputs)));

/**
 * Of undici only what the executable uses: its connection pool, and its WebSocket for the one module that needs it,
 * which is loaded when a provider has one. The whole package has fetch and caches in it, too, which each command would
 * load and never call: half of its running time.
 */
function connectionsOnly() {
  return {
    name: "connections-only",
    setup({ onResolve, onLoad }) {
      // HTTP/2 is off, and Node's own module for it takes ten milliseconds to load.
      onResolve({ filter: /^node:http2$/ }, ({ importer }) =>
        /[\\/]undici[\\/]/.test(importer) ? { path: "http2", namespace: "connections-only" } : undefined,
      );
      onResolve({ filter: /^undici$/ }, ({ importer }) => ({
        path: /[\\/]client[\\/]socket\.ts$/.test(importer) ? "undici-socket" : "undici",
        namespace: "connections-only",
      }));
      onLoad({ filter: /^http2$/, namespace: "connections-only" }, () => ({
        contents: "export const constants = {};",
      }));
      onLoad({ filter: /^undici$/, namespace: "connections-only" }, () => ({
        contents: AGENT,
        resolveDir: root,
      }));
      onLoad({ filter: /^undici-socket$/, namespace: "connections-only" }, () => ({
        contents: `${AGENT}
          export { default as buildConnector } from "undici/lib/core/connect.js";
          export { WebSocket } from "undici/lib/web/websocket/websocket.js";`,
        resolveDir: root,
      }));
    },
  };
}

/** The hook is built by itself; see below. */
function hookApart() {
  return {
    name: "hook-apart",
    setup({ onResolve }) {
      onResolve({ filter: /\/commands\/hook\.ts$/ }, () => ({ path: "./hook.js", external: true }));
    },
  };
}

function declarations() {
  const manifest = createRequire(import.meta.url).resolve("typescript/package.json");
  const tsc = path.join(path.dirname(manifest), "bin", "tsc");
  execFileSync(process.execPath, [tsc, "-p", "tsconfig.build.json"], { cwd: root, stdio: "inherit" });
}

async function makeRunnable(file) {
  const text = await readFile(file, "utf8");
  if (!text.startsWith("#!")) await writeFile(file, `#!/usr/bin/env node\n${text}`);
  await chmod(file, 0o755);
}

/** The licence of every package inside the executable, which minifying strips from most of them. */
async function licences(inputs) {
  const packages = new Set();
  for (const input of inputs) {
    const found = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(input.replaceAll("\\", "/"));
    if (found) packages.add(found[1]);
  }
  const texts = [];
  for (const folder of [...packages].sort()) {
    const manifest = JSON.parse(await readFile(path.join(root, folder, "package.json"), "utf8"));
    const file = (await readdir(path.join(root, folder))).find((name) => /^licen[cs]e/i.test(name));
    const text = file ? await readFile(path.join(root, folder, file), "utf8") : `Licence: ${manifest.license}`;
    texts.push(`${manifest.name} ${manifest.version}\n\n${text.trim()}\n`);
  }
  return `dist/bin.js and dist/chunks contain these packages.\n\n${texts.join(`\n${"-".repeat(80)}\n\n`)}`;
}
