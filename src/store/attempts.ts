import { createHash } from "node:crypto";
import { join } from "node:path";
import * as z from "zod";
import { parseJson } from "../wire/json.ts";
import { ATTEMPTS_MAX, CONFIG_FILE_MAX_BYTES, REPEAT_KEY_WINDOW } from "../wire/limits.ts";
import { type Disk, randomHex, SECRET_MODE } from "./disk.ts";

/** A message that was handed to a provider, or may have been. */
const attemptSchema = z.object({
  /** Milliseconds since 1970. */
  at: z.number(),
  /** `open`: under way, or its process has ended; `unclear`: it may have been sent. */
  state: z.enum(["open", "unclear", "sent"]),
  /** Hash of the message, where the key is one that the caller gave. */
  message: z.string().optional(),
  id: z.string().optional(),
  status: z.enum(["delivered", "queued"]).optional(),
});
export type Attempt = z.infer<typeof attemptSchema>;

/**
 * `outbox/`: what was sent lately, a file for each message, so that a call which a host or a model repeats does not
 * send twice. Names are hashes and no text stands in them. A name can be made once only, which orders all processes of
 * the agent; nothing is flushed, because a power cut ends the repetition, too.
 */
export class Attempts {
  readonly #disk: Disk;
  readonly #directory: string;

  constructor(disk: Disk, agentDirectory: string) {
    this.#disk = disk;
    this.#directory = join(agentDirectory, "outbox");
  }

  /** Opens an attempt, unless one with this key was made since `notBefore`: then that one is returned. */
  async open(key: string, message: string, now: number, notBefore: number): Promise<Attempt | undefined> {
    await this.#disk.makeDirectory(this.#directory);
    const attempt: Attempt = { at: now, state: "open", message };
    while (!(await this.#disk.create(this.#path(key), JSON.stringify(attempt), SECRET_MODE, false))) {
      const earlier = await this.#read(key);
      if (earlier !== undefined && earlier.at >= notBefore) return earlier;
      await this.#takeAway(key);
    }
    await this.#forgetOld();
    return undefined;
  }

  /** Notes what came of it; without an outcome the attempt is forgotten: nothing was sent. */
  async close(
    key: string,
    now: number,
    outcome?: "unclear" | { id: string | undefined; status: "delivered" | "queued" },
  ): Promise<void> {
    if (outcome === undefined) return this.#takeAway(key);
    const end = outcome === "unclear" ? { state: outcome } : { state: "sent" as const, ...outcome };
    const attempt: Attempt = { ...(await this.#read(key)), at: now, ...end };
    await this.#disk.write(this.#path(key), JSON.stringify(attempt), SECRET_MODE, false);
  }

  #path(key: string): string {
    return join(this.#directory, `${key}.json`);
  }

  /** One that is damaged guards nothing. */
  async #read(key: string): Promise<Attempt | undefined> {
    const content = await this.#disk.read(this.#path(key), CONFIG_FILE_MAX_BYTES);
    const parsed = attemptSchema.safeParse(content === undefined ? undefined : parseJson(content));
    return parsed.success ? parsed.data : undefined;
  }

  /** Away first, then removed: of two processes only one takes it, and nobody removes what came after it. */
  async #takeAway(key: string): Promise<void> {
    const aside = join(this.#directory, `.${process.pid}.${randomHex()}.tmp`);
    if (await this.#disk.takeAway(this.#path(key), aside)) await this.#disk.remove(aside);
  }

  async #forgetOld(): Promise<void> {
    const names = await this.#disk.names(this.#directory);
    if (names.length <= ATTEMPTS_MAX) return;
    for (const name of names) {
      const path = join(this.#directory, name);
      if (await this.#disk.isOlderThan(path, REPEAT_KEY_WINDOW)) await this.#disk.remove(path);
    }
  }
}

/** The same parts give the same key. */
export function attemptKey(parts: readonly unknown[]): string {
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 40);
}
