/** Put in place by the build; absent when the sources run as they are. */
declare const __AMP_MCP_VERSION__: string | undefined;

/** The version of this package, as its package.json says it. */
export const VERSION: string = typeof __AMP_MCP_VERSION__ === "undefined" ? "0.0.0-dev" : __AMP_MCP_VERSION__;
