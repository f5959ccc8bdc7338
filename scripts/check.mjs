/** Every check but the tests (`npm run check`), each run even when an earlier one failed. Ends with `N passed, N failed`. */
import { spawnSync } from "node:child_process";

const checks = [
  // The last one looks at what would be published, and does not build it.
  { name: "build", command: "node scripts/build.mjs" },
  { name: "format and lint", command: "biome ci ." },
  { name: "types of src", command: "tsc --noEmit" },
  { name: "types of test", command: "tsc --noEmit -p test" },
  // Its parser is a native module that npm leaves out where Node is older than the parser's `engines` say.
  { name: "dead code", command: "knip", needs: [20, 19] },
  { name: "package", command: "npm run --silent check:package" },
];

let passed = 0;
let failed = 0;
for (const { name, command, needs } of checks) {
  if (needs && isOlder(needs)) {
    console.log(`- ${name}: not run, ${command} needs Node ${needs.join(".")} and this is ${process.versions.node}`);
    continue;
  }
  // One string and a shell: npm's executables are .cmd files on Windows. `npm run` has put them on the PATH.
  const { status, stdout, stderr } = spawnSync(command, { shell: true, encoding: "utf8" });
  console.log(`${status === 0 ? "✓" : "✗"} ${name}: ${command}`);
  if (status === 0) passed += 1;
  else {
    failed += 1;
    console.log(`${stdout}${stderr}`.trimEnd());
  }
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;

function isOlder([major, minor]) {
  const [thisMajor = 0, thisMinor = 0] = process.versions.node.split(".").map(Number);
  return thisMajor < major || (thisMajor === major && thisMinor < minor);
}
