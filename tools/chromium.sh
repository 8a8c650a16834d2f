#!/usr/bin/env bash
# chromium.sh: puts Debian's Chromium where the browser tests of the report find it, if this machine lets us.
#
# Called by CI, and by whoever wants these tests to run. Nothing depends on it: where there is no root, no apt or no
# mirror it says so and succeeds, and the tests are skipped with their reason.
set -u

for name in chromium chromium-browser google-chrome google-chrome-stable; do
    if command -v "$name" >/dev/null; then
        echo "== browser tests use $(command -v "$name")"
        exit 0
    fi
done
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "== no Chromium, and installing it needs root and apt: the browser tests will be skipped"
    exit 0
fi
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
install() { timeout 600 apt-get -o Acquire::Retries=2 -o Acquire::http::Timeout=30 "$@" >>"$log" 2>&1; }
if install install -y --no-install-recommends chromium ||
    { install update && install install -y --no-install-recommends chromium; }; then
    echo "== browser tests use $(command -v chromium)"
else
    echo "== Chromium could not be installed, so the browser tests will be skipped: $(tail -1 "$log")"
fi
exit 0
