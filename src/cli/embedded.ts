import { join } from "node:path";
import envPaths from "env-paths";
import { systemCode } from "../errors.ts";
import { startProvider } from "../provider/server.ts";

export interface EmbeddedOptions {
  tenant: string;
  /** Default: the user's data directory for amp-mcp. */
  data?: string | undefined;
}

/** Queue and registrations of the built-in provider, the same for every process of this user. */
export function providerData(given: string | undefined): string {
  return given ?? join(envPaths("amp-mcp", { suffix: "" }).data, "provider");
}

/**
 * A provider inside this process, for the moment when nobody answers at the configured URL. Of several processes that
 * try at once one gets the port; the others use it. When its process ends, the next one to find nobody takes over,
 * on the same files.
 */
export class EmbeddedProvider {
  readonly #options: EmbeddedOptions;
  #starting: Promise<boolean> | undefined;
  #close: () => Promise<void> = async () => {};

  constructor(options: EmbeddedOptions) {
    this.#options = options;
  }

  /** Whether somebody listens at `url` now. Only an address of this machine can be served. */
  revive(url: URL): Promise<boolean> {
    if (url.protocol !== "http:" || !["localhost", "127.0.0.1"].includes(url.hostname)) return Promise.resolve(false);
    this.#starting ??= this.#start(url).finally(() => {
      this.#starting = undefined;
    });
    return this.#starting;
  }

  async #start(url: URL): Promise<boolean> {
    try {
      const { tenant, data } = this.#options;
      const port = Number(url.port || 80);
      const running = await startProvider({ dataDirectory: providerData(data), host: "127.0.0.1", port, tenant });
      this.#close = () => running.close();
      return true;
    } catch (thrown) {
      return systemCode(thrown) === "EADDRINUSE";
    }
  }

  async close(): Promise<void> {
    await this.#close();
  }
}
