import { examine } from "../../agent/doctor.ts";
import { count } from "../../wire/human.ts";
import { oneLine } from "../../wire/untrusted.ts";
import type { Output } from "../output.ts";
import { type CommonOptions, runAs } from "../run.ts";

interface Options extends CommonOptions {
  fix?: boolean;
}

export function doctorCommand(options: Options, env: NodeJS.ProcessEnv, output: Output): Promise<number> {
  return runAs(options, env, output, async (agent) => {
    const diagnoses = await examine(agent.home, options.fix ?? false);
    const left = diagnoses.filter(({ state }) => state !== "repaired");
    return {
      lines: [
        ...diagnoses.map(({ path, problem, advice, state }) =>
          [
            `${oneLine(path, 500)}\n  ${oneLine(problem, 500)}`,
            `  ${state === "repaired" ? "Repaired." : oneLine(advice, 500)}`,
          ].join("\n"),
        ),
        left.length === 0
          ? `${agent.home.root}: nothing is wrong.`
          : `${count(left.length, "problem")} in ${agent.home.root}.`,
      ],
      json: { directory: agent.home.root, problems: diagnoses },
      isFailure: left.length > 0,
    };
  });
}
