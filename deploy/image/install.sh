#!/bin/sh
# Used by the Dockerfile: installs what uv.lock says into /opt/healthd, each file held against its hash, then healthd,
# and lays out in /image what the image has of us, every time in it set to SOURCE_DATE_EPOCH.
# The index is pip's (/etc/pip.conf, given as a build secret), its certificates those of the secret "ca".
set -eu

if [ -s /run/secrets/ca.pem ]; then
  export SSL_CERT_FILE=/run/secrets/ca.pem PIP_CERT=/run/secrets/ca.pem
fi
uv=/opt/uv/bin/uv
pip_option() { /opt/uv/bin/python -m pip config get "global.$1" 2>/dev/null || true; }
# shellcheck disable=SC2086 # several words
export_locked() { "$uv" export --quiet --frozen --no-dev $EXTRAS "$@"; }
EXTRAS="--extra apprise --extra workers"

case "$1" in
  dependencies)
    python3 -m venv /opt/uv
    /opt/uv/bin/python -m pip install --quiet --disable-pip-version-check 'uv==0.13.8'
    index=$(pip_option index-url)
    [ -z "$index" ] || export UV_DEFAULT_INDEX="$index"
    "$uv" venv --quiet --python "$(command -v python3)" /opt/healthd
    "$uv" venv --quiet --python "$(command -v python3)" /opt/build
    export_locked --no-emit-project --format requirements.txt --output-file /tmp/run.txt
    "$uv" export --quiet --frozen --only-group build --no-emit-project --format requirements.txt --output-file /tmp/build.txt
    "$uv" pip sync --quiet --python /opt/healthd --require-hashes --compile-bytecode /tmp/run.txt
    "$uv" pip sync --quiet --python /opt/build --require-hashes /tmp/build.txt
    ;;
  healthd)
    /opt/build/bin/python -m hatchling build --target wheel --directory /tmp/wheel
    "$uv" pip install --quiet --python /opt/healthd --no-deps --compile-bytecode /tmp/wheel/*.whl
    export_locked --format cyclonedx1.5 --preview-features sbom-export --output-file /tmp/sbom.json
    PYTHONDONTWRITEBYTECODE=1 /opt/healthd/bin/python /src/deploy/image/finish.py /opt/healthd /tmp/sbom.json
    ;;
  layout)
    mkdir -p /image/opt /image/data /image/etc/healthd/checks
    mv /opt/healthd /image/opt/healthd
    cp -R checks/host /image/etc/healthd/checks/host
    chown -R 0:0 /image
    chmod -R u=rwX,go=rX /image/etc
    chown 65532:65532 /image/data
    find /image -exec touch --no-dereference --date="@${SOURCE_DATE_EPOCH:-0}" {} +
    ;;
esac
