#!/usr/bin/env bash
# eval_venv.sh [VENV]: makes VENV (default .venv-eval) with the evaluation kits, exactly as constraints-eval.txt pins them.
#
# The list is complete and installed without looking at dependencies: the kits require much that only some of their
# benchmarks need (CUDA builds among them), and what they import is all here. PYTHON, TORCH_INDEX: see the Makefile.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=${1:-.venv-eval}
torch_index=${TORCH_INDEX:-https://download.pytorch.org/whl/cpu}
export PIP_DISABLE_PIP_VERSION_CHECK=1

fits() { "$1" -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' 2>/dev/null; }

find_python() {
    local candidate
    for candidate in ${PYTHON:-} python3.11 python3.12 python3; do
        if fits "$candidate"; then echo "$candidate"; return; fi
    done
    echo "No Python 3.11 or 3.12 was found; install one, or name it: make eval-venv PYTHON=/path/to/python3.11" >&2
    return 1
}

pinned() { sed -n "s/^# $1==\([^ ;]*\).*/\1/p" constraints-eval.txt; }

# The +cpu wheel that pip already knows on disk or in its own indexes, else the one of TORCH_INDEX: nothing is computed
# here, the model answers from a server.
pip_torch() {
    local wanted="$1==$(pinned "$1")+cpu"
    "$pip" install -qq --only-binary :all: --no-deps "$wanted" 2>/dev/null && return
    "$pip" install -qq --only-binary :all: --no-deps --retries 1 --timeout 20 --extra-index-url "$torch_index" "$wanted"
}

[ -x "$venv/bin/python" ] || "$(find_python)" -m venv "$venv"
pip=$venv/bin/pip
pip_torch torch || {
    echo "No CPU build of torch was found at $torch_index; name another index: make eval-venv TORCH_INDEX=URL" >&2
    exit 1
}
# The index's wheel is a proper CPU build; PyPI's is a CUDA build, of which importing needs two operators declared.
pip_torch torchvision 2>/dev/null || "$pip" install -qq --no-deps "torchvision==$(pinned torchvision)"
"$pip" install -qq --no-deps --requirement constraints-eval.txt
site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
cp capcurriculum/torchvision_shim.py "$site/capcurriculum_torchvision_shim.py"
echo 'import capcurriculum_torchvision_shim as shim; shim.ensure_torchvision()' > "$site/capcurriculum_torchvision.pth"
