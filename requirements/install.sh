#!/bin/sh
# install.sh PYTHON LOCK WHEELHOUSE: puts one lock into one environment, by hash. Wheels in the
# wheelhouse, if there is such a folder, are used before any network.
# Used by ./inv and by the Dockerfile, so that both hold the same packages.
set -eu
python=$1 lock=$2 wheelhouse=$3
torch_index=${TORCH_INDEX:-https://download.pytorch.org/whl/cpu}

# Of the user's settings for pip, only where packages come from and how to get there: a target
# folder, --user or constraints would break the environment. A quiet pip would list none.
sources=$(PIP_QUIET=0 "$python" -m pip config list 2>/dev/null | "$python" -c '
import ast, sys
flags = "index-url extra-index-url find-links proxy cert client-cert trusted-host timeout".split()
found = {}
for line in sys.stdin:
    address, _, value = line.strip().partition("=")
    section, _, flag = address.rpartition(".")
    if flag in flags and section in ("global", "install", ":env:"):
        found[flag, section] = ast.literal_eval(value).split()
# What is in the environment counts before what is in a file.
order = ("global", "install", ":env:").index
found = {flag: found[flag, section] for flag, section in sorted(found, key=lambda f: order(f[1]))}
print(*(f"--{flag}={value}" for flag, values in found.items() for value in values))')

install() {
  # shellcheck disable=SC2086 # one flag each
  "$python" -m pip install --isolated $sources -qq --no-input --disable-pip-version-check \
    --root-user-action ignore --require-hashes --no-deps --only-binary :all: --no-compile "$@"
}

if [ -d "$wheelhouse" ]; then
  # A complete wheelhouse needs no network, and an incomplete one fails here within a second.
  install --no-index --find-links "$wheelhouse" -r "$lock" 2>/dev/null && exit
  set -- --find-links "$wheelhouse"
else
  set --
fi

# Only PyTorch's own index is sure to have the CPU wheel. It is asked for that wheel alone, and only
# after pip's configured sources: a machine that has the wheel need not reach the index.
torch=$(mktemp)
trap 'rm -f "$torch"' EXIT
sed -n '/^torch==.*+cpu/,/[^\\]$/p' "$lock" >"$torch"
if [ -s "$torch" ]; then
  install "$@" --retries 1 -r "$torch" 2>/dev/null ||
    install "$@" --retries 2 --index-url "$torch_index" -r "$torch"
fi
install "$@" -r "$lock"
