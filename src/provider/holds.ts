import { HOLD_LOOK } from "../wire/limits.ts";

/**
 * The requests that are held until their agent's queue changes. `ring` wakes them for what this process queues; what
 * another process queues in the same directory they find by looking again every `HOLD_LOOK`.
 */
export class Holds {
  readonly #held = new Set<Hold>();
  #isClosed = false;

  /** How many are held now. */
  get size(): number {
    return this.#held.size;
  }

  /**
   * Over after `milliseconds`, when `gone` is aborted, when these holds are closed, or when whoever opened it ends it,
   * which it always does.
   */
  open(agentId: string, milliseconds: number, gone: AbortSignal): Hold {
    const hold = new Hold(agentId, () => {
      clearTimeout(deadline);
      gone.removeEventListener("abort", end);
      this.#held.delete(hold);
    });
    const end = () => hold.end();
    const deadline = setTimeout(end, milliseconds);
    gone.addEventListener("abort", end);
    this.#held.add(hold);
    if (gone.aborted || this.#isClosed) hold.end();
    return hold;
  }

  /** Wakes every one that is held for this agent. */
  ring(agentId: string): void {
    for (const hold of this.#held) {
      if (hold.agentId === agentId) hold.ring();
    }
  }

  /** Ends all of them, and each that is opened later at once. */
  close(): void {
    this.#isClosed = true;
    for (const hold of this.#held) hold.end();
  }
}

export class Hold {
  readonly agentId: string;
  readonly #onEnd: () => void;
  #isOver = false;
  #isRung = false;
  #wake: () => void = () => undefined;

  constructor(agentId: string, onEnd: () => void) {
    this.agentId = agentId;
    this.#onEnd = onEnd;
  }

  ring(): void {
    this.#isRung = true;
    this.#wake();
  }

  end(): void {
    this.#isOver = true;
    this.#onEnd();
    this.#wake();
  }

  /** True as soon as it is worth looking again, at once after a ring since the last call; false when it is over. */
  async change(): Promise<boolean> {
    if (!this.#isRung && !this.#isOver) {
      await new Promise<void>((resolve) => {
        const look = setTimeout(resolve, HOLD_LOOK);
        this.#wake = () => {
          clearTimeout(look);
          resolve();
        };
      });
    }
    this.#isRung = false;
    return !this.#isOver;
  }
}
