import { randomBytes } from "node:crypto";
import { Refusal } from "./refusal.ts";

const EPOCH_BYTES = 12;
const CURSOR = /^([\w-]+)\.(\d{1,15})$/;

export interface Placed {
  file: string;
  /** From 1 on, in the order of `look`. A file keeps it for as long as it is there. */
  position: number;
}

/**
 * The order in which this process first saw the files of one queue, and cursors into it. The files' own places are no
 * positions to go on from: they start again when a queue has run empty, two can be the same, and a lower one can be
 * published after a higher one, which a reader who is past it would never be given. Here what is seen for the first
 * time comes after all that was seen before, and what is new in one look stands in the order of its places. So a cursor
 * passes over nothing, and is only a number: any count of readers costs one entry for each file that is there now.
 *
 * It lives in memory. The epoch in each cursor says of which queue and of which life of this process it is.
 */
export class Positions {
  readonly #list: () => Promise<string[]>;
  readonly #epoch = randomBytes(EPOCH_BYTES).toString("base64url");
  readonly #positions = new Map<string, number>();
  #last = 0;
  #looking: Promise<unknown> = Promise.resolve();
  #next: Promise<Placed[]> | undefined;

  /** `list` gives the names that are there now. */
  constructor(list: () => Promise<string[]>) {
    this.#list = list;
  }

  /**
   * What is there now. One look after the other: by two at once the older could miss a file that the newer had numbered,
   * and hand out a cursor past it. Who asks while one is under way shares the next.
   */
  look(): Promise<readonly Placed[]> {
    if (this.#next) return this.#next;
    const next = this.#looking.then(() => {
      this.#next = undefined;
      return this.#number();
    });
    this.#next = next;
    this.#looking = next.catch(() => undefined);
    return next;
  }

  /** For all that comes after `position`. */
  cursor(position: number): string {
    return `${this.#epoch}.${position}`;
  }

  /** Throws the 410 for a cursor that was not given for this queue by this process. */
  position(cursor: string): number {
    const [, epoch, digits] = CURSOR.exec(cursor) ?? [];
    const position = Number(digits);
    // The epoch is no secret: whoever made up a position would only skip messages of his own.
    if (epoch === this.#epoch && position <= this.#last) return position;
    throw new Refusal(410, "cursor_expired", "This cursor is not known here (any more). List again without it.");
  }

  async #number(): Promise<Placed[]> {
    const present = new Set(await this.#list());
    for (const file of this.#positions.keys()) {
      if (!present.has(file)) this.#positions.delete(file);
    }
    const added = [...present].filter((file) => !this.#positions.has(file)).sort();
    for (const file of added) this.#positions.set(file, ++this.#last);
    return Array.from(this.#positions, ([file, position]) => ({ file, position }));
  }
}
