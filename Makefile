# Every target does its own set-up and can be run again. `make demo` and `make test` are the two
# to know.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
# The pinned Node.js and its tools come first: the machine's own may be too old.
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)

SOURCES := $(shell find src -type f) Cargo.toml Cargo.lock package-lock.json .make/tools.sh
# Bytes, gzipped, of what is uploaded.
SIZE_LIMIT := 435000

# Of each target of `make fuzz`.
SECONDS_PER_TARGET ?= 20

# Of `make soak`.
SECONDS ?= 600
KILLS ?= $(shell expr $(SECONDS) \* 2 / 5)
SEED ?= $(shell date +%s)

.PHONY: demo test bench fuzz soak build deploy check-config doctor lint clean tools

demo: build  ## The OP, four apps and the Worker, on this machine
	@bash .make/tools.sh products || echo '==> the demo goes on without what is missing'
	@exec node examples/playground/demo.mjs

test: lint build  ## Everything: lints, native tests, the Worker on workerd, the real OP, a browser
	@bash .make/tools.sh browser
	@bash .make/tools.sh recipes
	cargo test --quiet -- --nocapture  # the model tells how many states it met
	node .make/check-config.mjs
	wrangler deploy --dry-run --outdir tests/.output/upload > tests/.output/dry-run.log || { cat tests/.output/dry-run.log; exit 1; }
	node --test --test-concurrency=1 --test-reporter=spec 'tests/e2e/**/*.test.mjs'

bench: build  ## What requests cost, beside what one would write instead; some minutes; not part of `test`
	@bash .make/tools.sh products || echo '==> the bench goes on without Apache'
	@exec node tests/bench/run.mjs

fuzz:  ## The domain against inputs that nobody thought of, for some minutes; not part of `test`
	@bash .make/tools.sh fuzz $(SECONDS_PER_TARGET)

soak: build  ## People log in and out while workerd is killed all the time; not part of `test`
	@node tests/e2e/soak.mjs $(SECONDS) $(KILLS) $(SEED)

build: build/index.js  ## build/index.js and its wasm, and their size
	@node .make/size.mjs $(SIZE_LIMIT)

build/index.js: $(SOURCES)
	@bash .make/tools.sh worker
	@touch $@

lint: tools
	cargo fmt --check
	cargo fmt --check --manifest-path fuzz/Cargo.toml
	cargo clippy --quiet --all-targets -- -D warnings
	cargo clippy --quiet --lib --examples --target wasm32-unknown-unknown -- -D warnings

check-config: build  ## Asks the built Worker what it thinks of wrangler.toml
	@node .make/check-config.mjs

deploy: check-config  ## To Cloudflare, if the Worker would accept the configuration
	wrangler deploy

doctor:  ## Looks at a deployed Worker from outside: URL=https://app.example.com/shop/bclogout
	@node .make/doctor.mjs

tools:
	@bash .make/tools.sh install
	@mkdir -p tests/.output

clean:
	rm -rf target build tests/.output .wrangler node_modules examples/recipes/*/.built
	rm -rf fuzz/target fuzz/corpus fuzz/artifacts
