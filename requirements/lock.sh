#!/bin/sh
# Makes the locks again: two from project.in, and the benchmarks' from bench.in. Needs uv; a folder
# with PyTorch's CPU wheel may be named in WHEELHOUSE, otherwise the wheel comes from PyTorch's own
# CPU index.
set -eu
cd "$(dirname "$0")"

# transformers-stream-generator exists only as a source archive, whose build would fetch unpinned
# tools; TransformerLens needs it for one family of models that nothing here loads.
common="--quiet --no-header --no-annotate --generate-hashes --no-emit-package transformers-stream-generator
  --python-version 3.11 --python-platform x86_64-manylinux_2_28"

if [ -n "${WHEELHOUSE:-}" ]; then
  torch_cpu="--find-links $WHEELHOUSE"
else
  torch_cpu="--extra-index-url https://download.pytorch.org/whl/cpu --index-strategy unsafe-best-match"
fi
echo 'torch==2.13.0+cpu' > .cpu-only.in
trap 'rm -f .cpu-only.in .bench-held.in' EXIT
# shellcheck disable=SC2086 # the options are meant to be split
uv pip compile $common $torch_cpu project.in .cpu-only.in -o cpu.txt
# shellcheck disable=SC2086
uv pip compile $common project.in -o cuda.txt

# The benchmarks' peers get our own versions, so that one environment serves all contestants; but
# sae-lens wants an older TransformerLens. Left out are packages that nothing in a race loads:
# py2store has no wheel, and torchvision's wheel on the default index is made for CUDA, which breaks
# transformers beside a CPU torch.
sed -n 's/^\([a-z][^ ]*==[^ ]*\) .*/\1/p' cpu.txt | grep -v '^transformer-lens==' > .bench-held.in
# shellcheck disable=SC2086
uv pip compile $common $torch_cpu --no-emit-package py2store --no-emit-package torchvision \
  --constraint .bench-held.in bench.in .cpu-only.in -o bench.txt
