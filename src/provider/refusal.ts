import type { ContentfulStatusCode } from "hono/utils/http-status";

/** What an error body holds beside `error` and `message`. */
export interface RefusalParts {
  field?: string;
  details?: Record<string, unknown>;
  headers?: Record<string, string>;
}

/**
 * A request that is turned down: the status and the words AI Maestro uses for it. Thrown by whoever finds the fault,
 * answered in one place (`routes.ts`). It is an answer to a client and no failure of this process, so no `AmpError`.
 */
export class Refusal extends Error {
  override readonly name = "Refusal";
  readonly status: ContentfulStatusCode;
  readonly error: string;
  readonly parts: RefusalParts;

  constructor(status: ContentfulStatusCode, error: string, message: string, parts: RefusalParts = {}) {
    super(message);
    this.status = status;
    this.error = error;
    this.parts = parts;
  }

  body(): Record<string, unknown> {
    const { field, details } = this.parts;
    return {
      error: this.error,
      message: this.message,
      ...(field === undefined ? {} : { field }),
      ...(details === undefined ? {} : { details }),
    };
  }
}

export function missingField(field: string, message: string): Refusal {
  return new Refusal(400, "missing_field", message, { field });
}

export function invalidField(field: string, message: string, details?: Record<string, unknown>): Refusal {
  return new Refusal(400, "invalid_field", message, details === undefined ? { field } : { field, details });
}
