import { AmpError, toAmpError } from "../../errors.ts";
import { startProvider } from "../../provider/server.ts";
import { providerData } from "../embedded.ts";
import { type Output, printError } from "../output.ts";

interface Options {
  port: string;
  host: string;
  tenant: string;
  data?: string;
  rateLimit: string;
  allowRemote?: boolean;
}

/** Runs the provider in its own process until a signal ends it. */
export async function providerCommand(options: Options, _env: NodeJS.ProcessEnv, output: Output): Promise<number> {
  const ended = new Promise<void>((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, resolve);
  });
  try {
    const dataDirectory = providerData(options.data);
    const running = await startProvider({
      dataDirectory,
      host: options.host,
      port: wholeNumber(options.port, "--port", 65_535),
      tenant: options.tenant,
      ratePerMinute: wholeNumber(options.rateLimit, "--rate-limit", 1_000_000),
      allowRemote: options.allowRemote ?? false,
    });
    output.stdout(
      `AMP provider for tenant "${options.tenant}" at ${running.url}\nQueue and registrations: ${dataDirectory}\n`,
    );
    await ended;
    await running.close();
    return 0;
  } catch (thrown) {
    printError(output, undefined, toAmpError(thrown), false);
    return 1;
  }
}

function wholeNumber(text: string, option: string, max: number): number {
  if (/^\d{1,7}$/.test(text) && Number(text) <= max) return Number(text);
  throw new AmpError("invalid_argument", {
    message: `${option}: expected a number from 0 to ${max}, found "${text}".`,
    notDone: "no provider was started.",
    next: "Correct the option.",
    mender: "caller",
  });
}
