// Builds from the pinned packages in the folder of tools:
//   node build.mjs TOOLS page FILE      the page: script and style inlined, each allowed by its hash alone
//   node build.mjs TOOLS program IN OUT  a program or test for Node.js

import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const [tools, what, ...rest] = process.argv.slice(2);
const { buildSync } = createRequire(join(tools, "package.json"))("esbuild");

/** One script of a source file and all that it imports: readable, so that it can be audited as it is. */
function bundle(entry, options) {
  const { outputFiles } = buildSync({
    entryPoints: [entry],
    absWorkingDir: here,
    nodePaths: [join(tools, "node_modules")],
    bundle: true,
    write: false,
    charset: "utf8",
    legalComments: "inline",
    target: "es2023",
    ...options,
  });
  return outputFiles[0].text;
}

/** Where the packages lie is no part of what is built. */
const anywhere = (script) => script.replaceAll(/^( *\/\/ ).*\/node_modules\//gm, "$1node_modules/");

/** What may be in the page; packages that only build and test it may have the others. */
const LICENCES = { page: ["MIT"], tools: ["MIT", "Apache-2.0", "ISC", "BSD-2-Clause", "BSD-3-Clause"] };

/** The licences of the packages that are in the page, word for word; another licence than those above ends the build. */
function licences() {
  const { packages } = JSON.parse(readFileSync(join(here, "package-lock.json"), "utf8"));
  const installed = Object.entries(packages).filter(([folder]) => folder !== "");
  for (const [folder, { license, dev }] of installed) {
    if (!LICENCES[dev ? "tools" : "page"].includes(license)) throw new Error(`${folder} has the licence ${license}`);
  }
  const inside = installed.filter(([, { dev }]) => !dev);
  const texts = inside.map(
    ([folder, { version }]) =>
      `${folder.replace("node_modules/", "")} ${version}\n\n${readFileSync(join(tools, folder, "LICENSE"), "utf8").trim()}`,
  );
  return ["Sealgate's own part of this page: Apache-2.0. Packages in it:", ...texts]
    .join("\n\n")
    .replaceAll("--", "- -");
}

const allowed = (text) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;

function page() {
  const script = anywhere(bundle("src/page.js", { format: "iife" }));
  const style = readFileSync(join(here, "src/page.css"), "utf8");
  if (script.includes("</script") || style.includes("</style"))
    throw new Error("the script or the style would end early");
  const policy = [
    "default-src 'none'",
    `script-src ${allowed(script)}`,
    `style-src ${allowed(style)}`,
    "connect-src https: http://localhost:* http://127.0.0.1:*",
    "base-uri 'none'",
    "form-action 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join("; ");
  return readFileSync(join(here, "src/page.html"), "utf8")
    .replace("{{policy}}", () => policy)
    .replace("{{licences}}", () => licences())
    .replace("{{style}}", () => style)
    .replace("{{script}}", () => script);
}

switch (what) {
  case "page":
    writeFileSync(rest[0], page());
    break;
  case "program":
    writeFileSync(rest[1], bundle(rest[0], { format: "esm", platform: "node" }));
    break;
  default:
    process.stderr.write("usage: build.mjs TOOLS page FILE | program IN OUT\n");
    process.exitCode = 64;
}
