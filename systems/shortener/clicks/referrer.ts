/** The host of a Referer header: enough to say where visitors come from, and nothing about who they are. */

/** @returns lowercase host without `www.`, or "" when there is none or it is not the web */
export function referrerHost(header: string | undefined): string {
  if (!header || header.length > 4096) return "";
  let url: URL;
  try {
    url = new URL(header);
  } catch {
    return "";
  }
  if (url.protocol !== "http:" && url.protocol !== "https:") return "";
  const host = url.hostname.replace(/^www\./, "");
  return host.length <= 255 ? host : "";
}
