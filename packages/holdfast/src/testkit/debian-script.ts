/**
 * The shell script that installs Debian packages for tests without starting what they bring along.
 *
 * Debian asks `/usr/sbin/policy-rc.d` before a package may start its service. The script says no there for as
 * long as it runs, and puts back what it found, also when an earlier run was killed half-way.
 *
 * It runs under a lock of its own: apt-get waits for dpkg's lock, but fails at once when another apt-get holds
 * the one of the package lists.
 *
 * Arguments: the policy file, then the packages.
 */
export const debianInstallScript = `
policy=$1
shift
kept=$policy.before-holdfast
mark='# Made by the Holdfast test kit while it installs a package.'

put_back() {
  if grep -qxF "$mark" "$policy" 2>/dev/null; then rm -f "$policy"; fi
  if [ -e "$kept" ]; then mv -f "$kept" "$policy"; fi
}
trap put_back EXIT
trap 'exit 1' HUP INT TERM

put_back
"$policy" holdfast start >/dev/null 2>&1
if [ $? -ne 101 ]; then
  if [ -e "$policy" ]; then mv "$policy" "$kept"; fi
  printf '#!/bin/sh\\n%s\\nexit 101\\n' "$mark" >"$policy" && chmod 755 "$policy" || exit 1
fi

install() {
  apt-get -o DPkg::Lock::Timeout=240 -qq install -y --no-install-recommends "$@"
}
# The package lists of a fresh container are missing, those of an old one are stale.
install "$@" >/dev/null 2>&1 || {
  apt-get -o DPkg::Lock::Timeout=240 -qq update && install "$@"
}
`;
