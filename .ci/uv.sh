# Sourced by bootstrap and lock: finds Python and uv, and gives uv the package index and certificates that pip has.
# Sets $python and $uv, exports uv's variables.

tools=.cache/tools

say() { printf '%s\n' "$*" >&2; }
fail() { say "set-up: $*"; exit 1; }

# The first Python of at least 3.11; PYTHON=... chooses one.
find_python() {
  local candidate
  for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11 python3.14}; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      "$candidate" -c 'import sys; print(sys.executable)'
      return
    fi
  done
  fail "healthd needs Python 3.11 or newer; found: $("${PYTHON:-python3}" --version 2>&1 || true)
        Install one, or name it: make ${MAKE_GOAL:-run} PYTHON=/path/to/python3.12"
}

# What pip was told of an option: its environment variable, else its configuration files.
pip_option() {
  local variable section
  variable=PIP_$(printf '%s' "$1" | tr 'a-z-' 'A-Z_')
  if [ -n "${!variable:-}" ]; then
    printf '%s' "${!variable}"
    return
  fi
  for section in global install; do
    "$python" -m pip config get "$section.$1" 2>/dev/null && return
  done
  return 0
}

# Unless uv was told itself: variable, pip's option.
adopt() {
  local value
  [ -z "${!1:-}" ] || return 0
  value=$(pip_option "$2")
  [ -z "$value" ] || export "$1=$value"
}

adopt_pip_settings() {
  [ -n "${UV_INDEX_URL:-}" ] || adopt UV_DEFAULT_INDEX index-url
  [ -n "${UV_INDEX:-}" ] || adopt UV_EXTRA_INDEX_URL extra-index-url
  adopt UV_FIND_LINKS find-links
  adopt SSL_CERT_FILE cert
}

# uv from PATH if it can read our lock file, else one of our own in .cache.
find_uv() {
  if command -v uv >/dev/null && uv export --frozen --no-emit-project --quiet >/dev/null 2>&1; then
    command -v uv
    return
  fi
  if [ ! -x "$tools/bin/uv" ]; then
    say "set-up: fetching uv, the package installer"
    install_uv || fail "pip could not install uv (see above).
        On Debian and Ubuntu the set-up needs: apt-get install --no-install-recommends python3-venv
        Or put uv on PATH yourself."
  fi
  printf '%s' "$PWD/$tools/bin/uv"
}

install_uv() {
  rm -rf "$tools"
  mkdir -p "${tools%/*}"
  # Debian splits ensurepip off into python3-venv; where only pip is there, --target does
  if "$python" -m venv "$tools" >/dev/null 2>&1; then
    "$tools/bin/python" -m pip install --quiet --disable-pip-version-check 'uv>=0.9' >&2
  else
    rm -rf "$tools"
    "$python" -m pip install --quiet --disable-pip-version-check --target "$tools" 'uv>=0.9' >&2
  fi
}

python=$(find_python)
