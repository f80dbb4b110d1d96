#!/usr/bin/env bash
# Puts the build's tools in place, or says exactly what to install. Can be run again at any time.
#   tools.sh install    the wasm-bindgen CLI, the wasm32 target, npm packages
#   tools.sh browser    Chromium, and openssl
#   tools.sh recipes    the frameworks and products of examples/recipes
#   tools.sh products   those of them that the demo shows
#   tools.sh worker     install, then build/index.js and its wasm
#   tools.sh border DIR  the bench's Worker that makes calls over our border, in that folder; after `worker`
#   tools.sh fuzz 20    cargo-fuzz and a nightly toolchain, then 20 seconds of each fuzz target
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/node_modules/.bin:$PATH"
say() { printf '==> %s\n' "$*"; }

cache="${XDG_CACHE_HOME:-$HOME/.cache}/edge-logout"

# Debian packages: found, or installed where we may, or asked for.
debian() { # description, package...
  local what=$1; shift
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    say "installing $* ($what)"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
  else
    printf '%s is missing. Please run:\n  sudo apt-get install -y %s\n' "$what" "$*" >&2
    exit 1
  fi
}

cargo_tool() { # crate, version, binary
  local root="$cache/$1-$2"
  [ -x "$root/bin/$3" ] && return
  say "building $1 $2 once, into $root (some minutes)"
  cargo install "$1@$2" --locked --quiet --bin "$3" --root "$root"
}

install() {
  command -v cargo >/dev/null || { echo 'Rust is missing: install rustup and its stable toolchain.' >&2; exit 1; }
  command -v npm >/dev/null || { echo 'Node.js with npm is missing.' >&2; exit 1; }
  if ! rustup target list --installed 2>/dev/null | grep -qx wasm32-unknown-unknown; then
    say 'adding the wasm32 target'
    rustup target add wasm32-unknown-unknown
  fi
  cargo_tool wasm-bindgen-cli "$WASM_BINDGEN" wasm-bindgen
  if ! cmp -s package-lock.json node_modules/.package-lock.edge-logout; then
    say 'installing npm packages'
    # Not `npm ci`: it refuses a lock file made where not every platform's optional packages were
    # to be had. The versions are the lock file's all the same.
    npm install --no-save --no-audit --no-fund --loglevel=error
    cp package-lock.json node_modules/.package-lock.edge-logout
  fi
}

browser() {
  # Certificates for the tests of `make doctor`.
  command -v openssl >/dev/null || debian 'openssl' openssl
  command -v chromium >/dev/null || command -v google-chrome >/dev/null || debian 'a browser' chromium
}

# What examples/recipes asks for, outside the checkout and named after what it is made of; `.built` in
# each recipe leads there.
recipes() {
  products
  { [ -d /usr/share/tomcat10/skel ] && command -v java >/dev/null; } ||
    debian 'Tomcat' tomcat10-user default-jre-headless
  local name
  for name in django flask; do
    is_built "$name" <(python3 --version) requirements.txt && continue
    say "installing $name once, into $built"
    rm -rf "$built"
    python3 -m venv "$built"
    "$built/bin/pip" install --quiet --disable-pip-version-check -r "examples/recipes/$name/requirements.txt"
    touch "$built/.complete"
  done
  local sources
  mapfile -t sources < <(cd examples/recipes/next-auth && find . -type f | LC_ALL=C sort)
  if ! is_built next-auth "${sources[@]}"; then
    say "installing and building next-auth once, into $built"
    rm -rf "$built"
    mkdir -p "$built"
    (cd examples/recipes/next-auth && cp --parents "${sources[@]}" "$built")
    (cd "$built" && npm install --no-save --no-audit --no-fund --loglevel=error >/dev/null)
    (cd "$built" && NEXT_TELEMETRY_DISABLED=1 node_modules/.bin/next build >build.log 2>&1) ||
      { cat "$built/build.log" >&2; exit 1; }
    touch "$built/.complete"
  fi
}

products() {
  python3 -c 'import ensurepip, venv' 2>/dev/null || debian 'Python with venv' python3 python3-venv
  if ! is_built jupyterhub <(python3 --version) requirements.txt package-lock.json; then
    say "installing jupyterhub once, into $built (half a minute)"
    rm -rf "$built"
    python3 -m venv "$built"
    cp examples/recipes/jupyterhub/package*.json "$built"
    "$built/bin/pip" install --quiet --disable-pip-version-check -r examples/recipes/jupyterhub/requirements.txt
    (cd "$built" && npm install --no-save --no-audit --no-fund --loglevel=error >/dev/null)
    touch "$built/.complete"
  fi
  [ -e /usr/lib/apache2/modules/mod_auth_openidc.so ] ||
    debian 'Apache with mod_auth_openidc' apache2-bin libapache2-mod-auth-openidc
}

is_built() { # recipe, what its set-up is made of...
  local recipe=$1; shift
  built="$cache/recipes/$recipe-$(cd "examples/recipes/$recipe" && cat "$@" | sha256sum | cut -c1-16)"
  ln -sfn "$built" "examples/recipes/$recipe/.built"
  [ -e "$built/.complete" ]
}

worker() {
  install
  cargo build --quiet --release --target wasm32-unknown-unknown
  bundle release/edge_logout.wasm src/edge build
}

border() { # output folder
  cargo build --quiet --release --target wasm32-unknown-unknown --example border
  bundle release/examples/border.wasm tests/bench/contestants/border "$1"
}

# What Rust has made, with its entry and what that imports: index.js and index_bg.wasm.
bundle() { # wasm, folder of the entry, output folder
  local stage="target/bundle/$2"
  rm -rf "$stage"
  "$cache/wasm-bindgen-cli-$WASM_BINDGEN/bin/wasm-bindgen" --target module --out-name index --out-dir "$stage" \
    --no-typescript --experimental-reset-state-function --force-enable-abort-handler \
    "target/wasm32-unknown-unknown/$1"
  # workerd has no source phase imports; the wasm is a module like any other.
  sed 's/^import source /import /' "$stage/index.js" >"$stage/module.js"
  # An entry of another folder is like it, and imports the same.
  cp src/edge/*.js "$stage"
  cp "$2"/*.js "$stage"
  mkdir -p "$3"
  esbuild "$stage/entry.js" --outfile="$3/index.js" --bundle --minify --format=esm --log-level=warning \
    --external:./index_bg.wasm --external:cloudflare:workers
  # What Rust and wasm-bindgen use, and no encoding that workerd may not know yet. Names for stack traces
  # are an eighth of the bundle; a panic says its file and line without them.
  wasm-opt "$stage/index_bg.wasm" -o "$3/index_bg.wasm" -O3 ${NAMES:---strip-debug} \
    --enable-simd --enable-mutable-globals --enable-sign-ext --enable-nontrapping-float-to-int --enable-bulk-memory \
    --enable-multivalue --enable-reference-types --enable-exception-handling
}

fuzz() { # seconds per target
  # libFuzzer's instrumentation is behind unstable flags.
  if ! cargo +nightly --version >/dev/null 2>&1; then
    say 'adding a nightly toolchain'
    rustup toolchain install nightly --profile minimal
  fi
  cargo_tool cargo-fuzz "$CARGO_FUZZ" cargo-fuzz
  export PATH="$cache/cargo-fuzz-$CARGO_FUZZ/bin:$PATH"
  cargo +nightly fuzz build
  local target failed=()
  for target in $(cargo +nightly fuzz list); do
    say "fuzzing $target for $1 seconds"
    # What it found before stays in fuzz/corpus, and an input that fails in fuzz/artifacts.
    if ! cargo +nightly fuzz run "$target" -- -max_total_time="$1" -max_len=4096 -timeout=10 \
      -rss_limit_mb=2048 -print_final_stats=1 >"fuzz/target/$target.log" 2>&1; then
      cat "fuzz/target/$target.log"
      failed+=("$target")
    else
      grep '^Done ' "fuzz/target/$target.log"
    fi
  done
  [ "${#failed[@]}" = 0 ] || { echo "Fuzzing found something: ${failed[*]}" >&2; exit 1; }
}

CARGO_FUZZ=0.13.2
# The CLI must be of the very version that the crate is.
WASM_BINDGEN=$(sed -n '/^name = "wasm-bindgen"$/{n;s/^version = "\(.*\)"$/\1/p}' Cargo.lock)

"$@"
