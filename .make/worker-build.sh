#!/usr/bin/env bash
# Builds build/index.js and its wasm, with pinned tools only: worker-build would download its own.
set -euo pipefail
cd "$(dirname "$0")/.."
bash .make/tools.sh build
version() { sed -n "/^name = \"$1\"\$/{n;s/^version = \"\\(.*\\)\"\$/\\1/p}" Cargo.lock; }
cache="${XDG_CACHE_HOME:-$HOME/.cache}/edge-logout"
export WASM_BINDGEN_BIN="$cache/wasm-bindgen-cli-$(version wasm-bindgen)/bin/wasm-bindgen"
export WASM_OPT_BIN="$PWD/node_modules/.bin/wasm-opt"
export ESBUILD_BIN="$PWD/node_modules/.bin/esbuild"
exec "$cache/worker-build-$(version worker)/bin/worker-build" --release
