# The paper and all it needs. Nothing but the driver comes from the host in the CUDA variant.
#
#   docker build -t seedstability .                        (--build-arg VARIANT=cuda)
#   mkdir -p build
#   docker run --rm --network none --user "$(id -u):$(id -g)" -v "$PWD/build:/repo/build" \
#     seedstability invoke paper
#
# Wheels in requirements/wheelhouse are used before any network. Where TLS is re-signed, the
# authority goes in with --secret id=ca,src=FILE. A base without snapshot comment (debootstrap's)
# needs APT_SNAPSHOT=0: so the tests build it; the other branch they try on such a comment alone.
ARG BASE_IMAGE=debian:bookworm-20251229-slim@sha256:d5d3f9c23164ea16f31852f95bd5959aad1c5e854332fe00f7b3a20fcc9f635c

FROM ${BASE_IMAGE}

# The base names, in a comment, the archive of the day it was made; uncommented, it pins every version.
ARG APT_SNAPSHOT=1
RUN --mount=type=bind,source=requirements/tex.txt,target=/tmp/tex.txt \
    if [ "$APT_SNAPSHOT" = 1 ]; then \
      sed -i -e '/^URIs:/d' -e 's|^# *\(http.*\)|URIs: \1|' /etc/apt/sources.list.d/debian.sources; \
    fi \
 && export DEBIAN_FRONTEND=noninteractive \
 && apt-get -qq -o Acquire::Check-Valid-Until=false -o Acquire::Retries=5 update \
 && apt-get -qq -o Acquire::Retries=5 install --no-install-recommends \
      python3 python3-venv $(cat /tmp/tex.txt) >/dev/null \
 && apt-get clean \
 && rm -rf /var/lib/apt/lists/* /var/log/* /var/cache/ldconfig/aux-cache

# The packages' own tests and C++ headers are a seventh of the image and used by nothing here. Byte
# code is made for the modules that do get imported: a container could not keep its own.
ARG VARIANT=cpu
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN --mount=type=bind,source=requirements,target=/locks \
    --mount=type=secret,id=ca,target=/run/ca.pem \
    if [ -s /run/ca.pem ]; then export PIP_CERT=/run/ca.pem; fi \
 && export PIP_NO_CACHE_DIR=1 \
 && python3 -m venv /opt/venv \
 && sh /locks/install.sh /opt/venv/bin/python "/locks/$VARIANT.txt" /locks/wheelhouse \
 && sh /locks/install.sh /opt/venv/bin/python /locks/weights.txt /locks/wheelhouse \
 && cd /opt/venv/lib/python3.11/site-packages \
 && find . -type d -name tests -prune -exec rm -rf {} + \
 && rm -rf torch/test torch/include \
 && /opt/venv/bin/python -c "import sys, invoke, jinja2, matplotlib.pyplot, numba, rich, sklearn.cluster, transformer_lens, typer; \
      print(*(m.__file__ for m in list(sys.modules.values()) if getattr(m, '__file__', None)), sep='\n')" \
    | grep '^/opt/venv/.*[.]py$' \
    | python3 -m compileall -q --invalidation-mode unchecked-hash -i -

# Any user, no home, a read-only root: what wants to write finds the temporary folder.
ENV PATH=/opt/venv/bin:$PATH PYTHONPATH=/repo/code PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp USER=reader LANG=C.UTF-8 TZ=UTC \
    XDG_CACHE_HOME=/tmp/cache MPLCONFIGDIR=/tmp/matplotlib TEXMFVAR=/tmp/texmf \
    HYPOTHESIS_STORAGE_DIRECTORY=/tmp/hypothesis HF_HOME=/tmp/huggingface HF_HUB_OFFLINE=1
WORKDIR /repo

ARG SOURCE_DATE_EPOCH=0
ARG SOURCE_COMMIT=
ENV SOURCE_COMMIT=$SOURCE_COMMIT
# Packed rather than copied: modes, owner and dates are the same whoever builds, and one layer holds all.
RUN --mount=type=bind,target=/context \
    tar -C /context --exclude=./requirements/wheelhouse --sort=name --mtime="@$SOURCE_DATE_EPOCH" \
      --owner=0 --group=0 --mode=a+rX,go-w -c . | tar -x -p \
 && mkdir -m 1777 build
LABEL org.opencontainers.image.title=seedstability \
      org.opencontainers.image.licenses=Apache-2.0 \
      org.opencontainers.image.revision=$SOURCE_COMMIT
USER 1000:1000
CMD ["invoke", "--list"]
