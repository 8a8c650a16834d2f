#!/usr/bin/env bash
# engine_venv.sh ENGINE: makes .venv-engine-ENGINE from constraints-engines-ENGINE.txt, beside the project's own .venv.
#
# The package itself is not installed there: what runs there is started in this folder with it on PYTHONPATH.
set -euo pipefail
cd "$(dirname "$0")/.."

list=constraints-engines-$1.txt
[ -f "$list" ] || {
    echo "There is no $list; engines with a list: $(ls constraints-engines-*.txt | sed 's/.*-engines-//; s/\.txt$//' | xargs)" >&2
    exit 2
}
tools/pinned_venv.sh "$list" ".venv-engine-$1"
