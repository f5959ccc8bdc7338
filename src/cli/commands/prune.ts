import { AmpError } from "../../errors.ts";
import { count } from "../../wire/human.ts";
import { oneLine } from "../../wire/untrusted.ts";
import type { Output } from "../output.ts";
import { type CommonOptions, runAs } from "../run.ts";

interface Options extends CommonOptions {
  olderThan?: string;
  dryRun?: boolean;
}

const UNITS = { h: 3_600_000, d: 86_400_000, w: 604_800_000 } as const;

export function pruneCommand(options: Options, env: NodeJS.ProcessEnv, output: Output): Promise<number> {
  return runAs(options, env, output, async (agent) => {
    const age = ageOf(options.olderThan);
    const isDryRun = options.dryRun ?? false;
    const files = await agent.prune(age, isDryRun);
    return {
      lines: [
        ...(isDryRun ? files.map((path) => oneLine(path, 500)) : []),
        `${isDryRun ? "Would remove" : "Removed"} ${count(files.length, "file")} of acknowledged messages older than ${options.olderThan}.`,
      ],
      json: { removed: isDryRun ? [] : files, would_remove: isDryRun ? files : [] },
    };
  });
}

/** Milliseconds. Without an age nothing is removed: keeping is the default. */
function ageOf(given: string | undefined): number {
  const [, number = "", unit = ""] = /^(\d{1,5})([hdw])$/.exec(given ?? "") ?? [];
  const found = Object.entries(UNITS).find(([name]) => name === unit);
  if (found !== undefined) return Number(number) * found[1];
  throw new AmpError("invalid_argument", {
    message: `--older-than: expected an age such as 30d, 12h or 4w, found ${given === undefined ? "none" : `"${oneLine(given, 40)}"`}.`,
    notDone: "nothing was removed; without an age everything is kept.",
    next: "See what would go with: amp-mcp prune --older-than 30d --dry-run",
    mender: "caller",
  });
}
