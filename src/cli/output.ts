import type { AmpError } from "../errors.ts";
import { redact } from "../wire/secrets.ts";
import { oneLine } from "../wire/untrusted.ts";

/** What a command says: lines for a person, or with `--json` one object for a script. */
export interface Answer {
  lines: readonly string[];
  json: Record<string, unknown>;
  /** Something of what was asked for was not done. */
  isFailure?: boolean;
}

/** Streams as a command sees them; a test can pass its own. */
export interface Output {
  stdout(text: string): void;
  stderr(text: string): void;
}

export function printAnswer(output: Output, address: string | undefined, answer: Answer, isJson: boolean): void {
  if (isJson) output.stdout(`${plainJson({ agent: address ?? null, ...answer.json })}\n`);
  else
    output.stdout(
      `${[...(address === undefined ? [] : [`as ${oneLine(address, 254)}`]), ...answer.lines].join("\n")}\n`,
    );
}

/** A failure goes to stderr for a person and to stdout for a script, which reads one place only. */
export function printError(output: Output, address: string | undefined, error: AmpError, isJson: boolean): void {
  const { code, message, notDone, next } = error;
  if (isJson) {
    const told = { agent: address ?? null, error: { code, message, not_done: notDone ?? null, next } };
    output.stdout(`${redact(plainJson(told))}\n`);
  } else output.stderr(`${address === undefined ? "" : `as ${oneLine(address, 254)}\n`}${redact(error.describe())}\n`);
}

/** What was written to stdout has left; of a reader that does not read, not before `grace` milliseconds. */
export function flushed(grace?: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = grace === undefined ? undefined : setTimeout(resolve, grace);
    process.stdout.write("", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/** JSON whose text cannot move a terminal's cursor or hide a part of itself: such characters are escaped. */
function plainJson(value: object): string {
  return JSON.stringify(value).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (found) =>
    [...Array(found.length).keys()].map((i) => `\\u${found.charCodeAt(i).toString(16).padStart(4, "0")}`).join(""),
  );
}
