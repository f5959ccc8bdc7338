/** Something wrong with a directory, and how to set it right where that cannot do harm. */
export interface Finding {
  path: string;
  /** What was expected and what was found, one sentence. */
  problem: string;
  /** What a person can do, where nothing here may. */
  advice?: string;
  /** Repairs it. Never deletes what somebody wrote, never touches a key. */
  repair?: () => Promise<void>;
}
