declare const __AMP_MCP_VERSION__: string | undefined;

/** The package's version, put in when the executable is built. */
export const VERSION = typeof __AMP_MCP_VERSION__ === "string" ? __AMP_MCP_VERSION__ : "0.0.0-dev";
