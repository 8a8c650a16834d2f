#!/usr/bin/env bash
# pinned_venv.sh LIST VENV: makes VENV with exactly the packages that LIST pins, for a tool that needs its own environment.
#
# The list is complete and installed without looking at dependencies: the tools require much that is not called here
# (CUDA builds among it), and what they import is in the list. A list that names `# torch==` and `# torchvision==` gets
# their CPU builds. PYTHON, TORCH_INDEX: see the Makefile.
set -euo pipefail
cd "$(dirname "$0")/.."

list=$1
venv=$2
torch_index=${TORCH_INDEX:-https://download.pytorch.org/whl/cpu}
export PIP_DISABLE_PIP_VERSION_CHECK=1

fits() { "$1" -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' 2>/dev/null; }

find_python() {
    local candidate
    for candidate in ${PYTHON:-} python3.11 python3.12 python3; do
        if fits "$candidate"; then echo "$candidate"; return; fi
    done
    echo "No Python 3.11 or 3.12 was found; install one, or name it: make ... PYTHON=/path/to/python3.11" >&2
    return 1
}

pinned() { sed -n "s/^# $1==\([^ ;]*\).*/\1/p" "$list"; }

# The +cpu wheel that pip already knows on disk or in its own indexes, else the one of TORCH_INDEX.
pip_torch() {
    local wanted="$1==$(pinned "$1")+cpu"
    "$pip" install -qq --only-binary :all: --no-deps "$wanted" 2>/dev/null && return
    "$pip" install -qq --only-binary :all: --no-deps --retries 1 --timeout 20 --extra-index-url "$torch_index" "$wanted"
}

[ -x "$venv/bin/python" ] || "$(find_python)" -m venv "$venv"
pip=$venv/bin/pip
if [ -n "$(pinned torch)" ]; then
    pip_torch torch || {
        echo "No CPU build of torch was found at $torch_index; name another index: make ... TORCH_INDEX=URL" >&2
        exit 1
    }
    # The index's wheel is a proper CPU build; PyPI's is a CUDA build, of which importing needs two operators declared.
    pip_torch torchvision 2>/dev/null || "$pip" install -qq --no-deps "torchvision==$(pinned torchvision)"
fi
"$pip" install -qq --no-deps --requirement "$list"
[ -n "$(pinned torch)" ] || exit 0
site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
cp capcurriculum/torchvision_shim.py "$site/capcurriculum_torchvision_shim.py"
echo 'import capcurriculum_torchvision_shim as shim; shim.ensure_torchvision()' > "$site/capcurriculum_torchvision.pth"
