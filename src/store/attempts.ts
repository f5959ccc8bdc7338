import { createHash } from "node:crypto";
import { join } from "node:path";
import * as z from "zod";
import { REPEAT_KEY_WINDOW } from "../wire/limits.ts";
import { SECRET_MODE } from "./disk.ts";
import type { Home } from "./home.ts";
import { withLock } from "./lock.ts";
import { readObject } from "./profile.ts";

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
 * `outbox.json`: what was sent lately, so that a call which a host or a model repeats does not send twice. Keys are
 * hashes; no text stands in it. Shared by all processes of the agent.
 */
export class Attempts {
  readonly #home: Home;
  readonly #directory: string;

  constructor(home: Home, directory: string) {
    this.#home = home;
    this.#directory = directory;
  }

  /** Opens an attempt, unless one with this key was made since `notBefore`: then that one is returned. */
  open(key: string, message: string, now: number, notBefore: number): Promise<Attempt | undefined> {
    return this.#change(now, (all) => {
      const earlier = all.get(key);
      if (earlier !== undefined && earlier.at >= notBefore) return earlier;
      all.set(key, { at: now, state: "open", message });
      return undefined;
    });
  }

  /** Notes what came of it; without an outcome the attempt is forgotten: nothing was sent. */
  async close(
    key: string,
    now: number,
    outcome?: "unclear" | { id: string | undefined; status: "delivered" | "queued" },
  ): Promise<void> {
    await this.#change(now, (all) => {
      if (outcome === undefined) all.delete(key);
      else {
        const end = outcome === "unclear" ? { state: outcome } : { state: "sent" as const, ...outcome };
        all.set(key, { ...all.get(key), at: now, ...end });
      }
    });
  }

  #change<T>(now: number, change: (all: Map<string, Attempt>) => T): Promise<T> {
    const path = join(this.#directory, "outbox.json");
    return withLock(this.#home.disk, join(this.#directory, ".outbox.lock"), async () => {
      // Only a guard against repetition: one that is damaged is begun anew.
      const entries = Object.entries(await readObject(this.#home.disk, path)).flatMap(([key, value]) => {
        const parsed = attemptSchema.safeParse(value);
        return parsed.success && now - parsed.data.at < REPEAT_KEY_WINDOW ? [[key, parsed.data] as const] : [];
      });
      const all = new Map(entries);
      const result = change(all);
      await this.#home.disk.write(path, `${JSON.stringify(Object.fromEntries(all))}\n`, SECRET_MODE);
      return result;
    });
  }
}

/** The same parts give the same key. */
export function attemptKey(parts: readonly unknown[]): string {
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex");
}
