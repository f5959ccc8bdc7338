import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    testTimeout: 30_000,
    hookTimeout: 30_000,
    pool: "forks",
    // No module here keeps a state, so one load of each serves all files.
    isolate: false,
    // Half of a test's time is a process that starts: a third one has room on two cores.
    maxWorkers: 3,
  },
});
