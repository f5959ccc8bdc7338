import { fstatSync, readSync } from "node:fs";
import { systemCode } from "../../errors.ts";
import { isObject, parseJson } from "../../wire/json.ts";
import { HOOK_EVENT_MAX_BYTES, HOOK_EVENT_WAIT } from "../../wire/limits.ts";

/**
 * The event that a host writes to a hook's stdin; `undefined` where there is none. Read at once, without streams, whose
 * code takes longer to load than a hook may take; and until the object is complete, since a host need not close stdin.
 */
export function readEvent(): Record<string, unknown> | undefined {
  // A terminal, where a person would have to write the event.
  if (fstatSync(0).isCharacterDevice()) return undefined;
  const until = Date.now() + HOOK_EVENT_WAIT;
  const chunks: Buffer[] = [];
  for (let bytes = 0; bytes <= HOOK_EVENT_MAX_BYTES; ) {
    const chunk = readChunk(until);
    bytes += chunk.length;
    chunks.push(chunk);
    const isLast = chunk.length === 0;
    if (isLast || endsObject(chunk)) {
      const event = parseJson(
        Buffer.concat(chunks)
          .toString("utf8")
          .replace(/^\uFEFF/, ""),
      );
      if (isObject(event)) return event;
    }
    if (isLast) return undefined;
  }
  return undefined;
}

/** Whether an object may end here: the event is parsed then, and not at each of the pieces in which it comes. */
function endsObject(chunk: Buffer): boolean {
  return /\}\s*$/.test(chunk.toString("latin1", Math.max(0, chunk.length - 8)));
}

const CHUNK_BYTES = 64 * 1024;

/** What there is to read; nothing at the end, or when nothing came in time. */
function readChunk(until: number): Buffer {
  const chunk = Buffer.alloc(CHUNK_BYTES);
  for (;;) {
    try {
      return chunk.subarray(0, readSync(0, chunk, 0, chunk.length, null));
    } catch (thrown) {
      const code = systemCode(thrown);
      if (code === "EOF" || code === "EBADF" || code === "EISDIR") return chunk.subarray(0, 0);
      if (code !== "EAGAIN") throw thrown;
      if (Date.now() > until) return chunk.subarray(0, 0);
      // A pipe that does not block has nothing yet: wait without burning the processor.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}
