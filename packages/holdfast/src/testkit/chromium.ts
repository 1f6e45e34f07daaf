/**
 * A Chromium for browser tests: the one that the machine has. Where there is none, and the tests run as root on
 * a Debian-like system (a fresh container), it is installed through apt-get.
 */
import { execFile } from "node:child_process";
import { access, constants } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

const commands = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];
const macOs = [
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

/**
 * Path of a Chromium executable, for `chromium.launch({ executablePath })` of playwright-core. As root the
 * browser needs `args: ["--no-sandbox"]`.
 *
 * @throws {Error} when there is none and none can be installed; the message says what to install
 */
export async function findChromium(): Promise<string> {
  const found = await installedChromium();
  if (found) return found;
  if (process.getuid?.() === 0 && (await onPath("apt-get"))) {
    // Two test processes may come here at once: the second waits for the first one's lock.
    const options = ["-o", "DPkg::Lock::Timeout=240", "-qq"];
    const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
    await run("apt-get", [...options, "update"], { env });
    await run("apt-get", [...options, "install", "-y", "--no-install-recommends", "chromium"], { env });
    const installed = await installedChromium();
    if (installed) return installed;
  }
  throw new Error(
    "No Chromium found. Install one (Debian: apt-get install chromium), or name it in CHROMIUM_PATH.",
  );
}

async function installedChromium(): Promise<string | undefined> {
  const named = process.env.CHROMIUM_PATH;
  if (named) return named;
  for (const command of commands) {
    const path = await onPath(command);
    if (path) return path;
  }
  for (const path of macOs) if (await isExecutable(path)) return path;
  return undefined;
}

async function onPath(command: string): Promise<string | undefined> {
  for (const folder of (process.env.PATH ?? "").split(delimiter)) {
    if (folder !== "" && (await isExecutable(join(folder, command)))) return join(folder, command);
  }
  return undefined;
}

function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}
