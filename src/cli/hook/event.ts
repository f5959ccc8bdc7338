import { fstatSync, readSync } from "node:fs";
import { systemCode } from "../../errors.ts";
import { isObject, parseJson } from "../../wire/json.ts";
import { HOOK_EVENT_MAX_BYTES } from "../../wire/limits.ts";

/**
 * The event that a host writes to a hook's stdin; `undefined` where there is none. Read at once, without streams, whose
 * code takes longer to load than a hook may take; and until the object is complete, since a host need not close stdin.
 */
export function readEvent(): Record<string, unknown> | undefined {
  // A terminal, where a person would have to write the event.
  if (fstatSync(0).isCharacterDevice()) return undefined;
  const chunk = Buffer.alloc(64 * 1024);
  let text = "";
  let bytes = 0;
  while (bytes <= HOOK_EVENT_MAX_BYTES) {
    const length = readChunk(chunk);
    if (length > 0) text += chunk.toString("latin1", 0, length);
    bytes += length;
    if (length < chunk.length || length === 0) {
      const event = text.trimEnd().endsWith("}") ? parseJson(Buffer.from(text, "latin1").toString("utf8")) : undefined;
      if (isObject(event)) return event;
    }
    if (length === 0) return undefined;
  }
  return undefined;
}

function readChunk(chunk: Buffer): number {
  for (;;) {
    try {
      return readSync(0, chunk, 0, chunk.length, null);
    } catch (thrown) {
      const code = systemCode(thrown);
      if (code === "EOF" || code === "EBADF" || code === "EISDIR") return 0;
      if (code !== "EAGAIN") throw thrown;
      // A pipe that does not block has nothing yet: wait without burning the processor.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}
