/** A Chromium for browser tests: the one that the machine has, or the one of its packages. */
import { findProgram } from "./debian.ts";

/**
 * Path of a Chromium executable, for `chromium.launch({ executablePath })` of playwright-core. As root the
 * browser needs `args: ["--no-sandbox"]`.
 *
 * @throws {Error} when there is none and none can be installed; the message says what to install
 */
export function findChromium(): Promise<string> {
  return findProgram({
    names: ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"],
    debianPackage: "chromium",
    paths: [
      "/Applications/Chromium.app/Contents/MacOS/Chromium",
      "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    ],
    variable: "CHROMIUM_PATH",
  });
}
