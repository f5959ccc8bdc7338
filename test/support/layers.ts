import path from "node:path";

/** What each folder of src may import besides itself. The two files of `ANYWHERE` may be imported by all. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  bin: ["mcp", "cli"],
  index: ["mcp", "cli", "provider", "agent", "client", "store", "wire"],
  mcp: ["agent", "wire"],
  cli: ["agent", "provider", "mcp", "wire"],
  provider: ["wire"],
  agent: ["client", "store", "wire"],
  client: ["wire"],
  store: ["wire"],
  wire: [],
  errors: [],
  version: [],
};
const ANYWHERE = ["errors", "version"];
/** Wire is pure: it reads no file and opens no connection. */
const NOT_IN_WIRE = /^(?:node:)?(?:fs|http|https|http2|net|tls|dgram|child_process)(?:\/|$)|^undici(?:\/|$)/;
const MAX_LINES = 400;
const NAMELESS = /^(?:utils?|helpers?|common)$/i;

/**
 * The rules that `sources` break, one sentence each. Keys are paths below src with forward slashes, values the text.
 * Imports are found by their form alone, so a comment that looks like one counts too: it is reported, never missed.
 */
export function brokenRules(sources: ReadonlyMap<string, string>): string[] {
  return [...sources].flatMap(([file, text]) => [
    ...imports(text).flatMap((specifier) => wrongImport(file, specifier)),
    ...wrongShape(file, text),
  ]);
}

const IMPORTS = [
  /\b(?:import|export)\b[\w\s{},*$]*?\bfrom\s*["']([^"']+)["']/g,
  /\bimport\s*["']([^"']+)["']/g,
  /\b(?:import|require)\s*\(\s*([^)]*?)\s*\)/g,
];

function imports(text: string): string[] {
  return IMPORTS.flatMap((form) => [...text.matchAll(form)].map((found) => found[1] ?? ""));
}

function wrongImport(file: string, written: string): string[] {
  const specifier = /^(["'])(.*)\1$/.exec(written)?.[2] ?? written;
  if (/[\s`$+]/.test(specifier)) return [`${file} imports ${written}, which cannot be checked; write the name out`];
  const from = layerOf(file);
  if (!specifier.startsWith(".")) {
    if (/^amp-mcp(?:\/|$)|^#/.test(specifier)) return [`${file} imports ${specifier}; import the file itself`];
    return from === "wire" && NOT_IN_WIRE.test(specifier) ? [`${file} imports ${specifier}, but wire is pure`] : [];
  }
  const target = path.posix.join(path.posix.dirname(file), specifier);
  if (target.startsWith("..")) return [`${file} imports ${specifier}, which is outside src`];
  const to = layerOf(target);
  if (to === from || ANYWHERE.includes(to) || MAY_IMPORT[from]?.includes(to)) return [];
  return [`${file} imports ${target}, but ${from} may not import ${to}`];
}

/** The folder, or the name of a file that stands directly in src. */
function layerOf(file: string): string {
  const [first = ""] = file.split("/");
  return first.replace(/\.[cm]?[jt]s$/, "");
}

function wrongShape(file: string, text: string): string[] {
  const found: string[] = [];
  const lines = text.trimEnd().split("\n").length;
  if (!(layerOf(file) in MAY_IMPORT)) found.push(`${file} is in no layer`);
  if (lines > MAX_LINES) found.push(`${file} has ${lines} lines; two nouns may live there`);
  if (file.split("/").some((part) => NAMELESS.test(part.replace(/\..*$/, ""))))
    found.push(`${file} is named for nothing`);
  if (file !== "bin.ts" && /\bprocess\s*\.\s*exit\s*\(/.test(text)) found.push(`${file} calls process.exit`);
  if (/\bconsole\s*\.\s*log\b/.test(text)) found.push(`${file} writes to stdout with console.log`);
  return found;
}
