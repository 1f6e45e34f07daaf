/**
 * Whether a visit would only come back here. Making a link asks this too, but believes the name that its maker
 * used, which may be forged, or one that nobody has configured: at the visit, the visitor's own name decides.
 *
 * Redirects are the hot path, so the verdict stays beside the cached link until somebody uses another name.
 */
import type { HotLink } from "./read-link.ts";
import { leadsBack, ownPlaces } from "./target-url.ts";

const verdicts = new WeakMap<HotLink, { readonly name: string; readonly loops: boolean }>();

export function isLoop(
  link: HotLink,
  header: (name: string) => string | undefined,
  configuredHosts: string | undefined,
): boolean {
  const name = `${header("host")} ${header("x-forwarded-host")}`;
  const known = verdicts.get(link);
  if (known?.name === name) return known.loops;
  const loops = leadsBack(link.url, ownPlaces(header, configuredHosts));
  verdicts.set(link, { name, loops });
  return loops;
}
