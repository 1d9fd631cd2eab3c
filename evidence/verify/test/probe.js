// Whether Chromium runs here: prints its version.

import { launch } from "./chromium.js";

const browser = await launch();
process.stdout.write(`${browser.version()}\n`);
await browser.close();
