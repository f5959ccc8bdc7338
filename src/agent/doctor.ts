import { toAmpError } from "../errors.ts";
import { checkHome } from "../store/check-home.ts";
import type { Home } from "../store/home.ts";

export interface Diagnosis {
  path: string;
  problem: string;
  /** What a person can do about it. */
  advice: string;
  /** `repaired`: done now. `repairable`: would be, with `--fix`. `manual`: needs a person. */
  state: "repaired" | "repairable" | "manual";
}

const FIX = "amp-mcp doctor --fix repairs it.";

/** Examines a config directory, and repairs what is safe to repair if told to. */
export async function examine(home: Home, isFixing: boolean): Promise<Diagnosis[]> {
  const diagnoses: Diagnosis[] = [];
  for (const { path, problem, advice, repair } of await checkHome(home)) {
    const found = { path, problem, advice: advice ?? FIX };
    if (repair === undefined) diagnoses.push({ ...found, state: "manual" });
    else if (!isFixing) diagnoses.push({ ...found, state: "repairable" });
    else {
      const failure = await repair().then(() => undefined, toAmpError);
      diagnoses.push(
        failure ? { ...found, state: "manual", advice: failure.message } : { ...found, state: "repaired" },
      );
    }
  }
  return diagnoses;
}
