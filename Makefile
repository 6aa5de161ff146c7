# Everything a person does here. Tools are installed by version into ./bin.

GO      ?= go
BIN     := $(CURDIR)/bin
# One setting for all, so that tests and binaries share what is compiled.
export CGO_ENABLED ?= 0

# Time for each fuzz target of `make fuzz`.
FUZZTIME ?= 20s
# What `make demo`, `make bench` and `make soak` pass on, such as ARGS='-rounds 5'.
ARGS    ?=

BUF         := github.com/bufbuild/buf/cmd/buf@v1.50.0
GEN_GO      := google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12
GEN_CONNECT := connectrpc.com/connect/cmd/protoc-gen-connect-go@v1.21.1
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

GENERATORS := $(BIN)/buf $(BIN)/protoc-gen-go $(BIN)/protoc-gen-connect-go

# Modules of their own, so that heavy test dependencies stay out of ours.
NESTED := $(patsubst %/go.mod,%,$(wildcard */*/go.mod))

.DEFAULT_GOAL := help

.PHONY: help
help: ## List what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build ./bin/edri and ./bin/edri-server, static
	$(GO) build -trimpath -o $(BIN)/ ./cmd/edri ./cmd/edri-server

.PHONY: test
test: ## Run all tests (under 10 minutes on two cores)
	$(GO) test -timeout 9m ./...
	@set -e; for m in $(NESTED); do echo "cd $$m && $(GO) test ./..."; (cd $$m && $(GO) test -timeout 5m ./...); done

.PHONY: race
race: ## Run all tests with the race detector (needs a C compiler)
	CGO_ENABLED=1 $(GO) test -race -timeout 40m ./...
	@set -e; for m in $(NESTED); do (cd $$m && CGO_ENABLED=1 $(GO) test -race -timeout 10m ./...); done

.PHONY: lint
lint: $(BIN)/staticcheck $(GENERATORS) ## gofmt, go vet, staticcheck, and whether generated code is up to date
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); \
	  if [ -n "$$unformatted" ]; then echo "not formatted by gofmt:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(BIN)/staticcheck ./...
	@set -e; fresh=$$(mktemp -d); trap 'rm -rf "$$fresh"' EXIT; \
	  $(BIN)/buf generate -o "$$fresh"; \
	  for f in $$(cd "$$fresh" && find . -name '*.go'); do \
	    diff -u "$$f" "$$fresh/$$f" || { echo "generated code is out of date: run make generate"; exit 1; }; \
	  done
	@echo "lint: ok"

# Where the time ends while a worker is busy, go test before 1.27 says "context
# deadline exceeded" and fails (golang/go#75804). With no input found that is none.
.PHONY: fuzz
fuzz: ## Run each fuzz target for FUZZTIME (default 20s)
	@set -e; log=$$(mktemp); trap 'rm -f "$$log"' EXIT; \
	for p in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz' || true); do \
	    echo "fuzz $$p $$f"; \
	    $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x $$p >"$$log" 2>&1 || \
	      { grep -qx ' *context deadline exceeded' "$$log" && ! grep -qi 'failing input\|panic' "$$log"; } || \
	      { cat "$$log"; exit 1; }; \
	    grep 'elapsed' "$$log" | tail -n 1; \
	  done; \
	done

.PHONY: bench
bench: build ## Measure appends and scans on three local nodes beside the disk's own limit
	$(GO) run ./integration/bench -bin $(BIN) $(ARGS)

.PHONY: demo
demo: build ## Import, run workflows, kill, restart and count on three local nodes
	$(GO) build -trimpath -o $(BIN)/ ./examples/orders
	$(GO) run ./integration/demo -bin $(BIN) -events examples/events.ndjson $(ARGS)

.PHONY: soak
soak: ## Run the long campaigns: faults, damage, simulated clusters, models (hours)
	EDRI_SOAK=1 $(GO) test -count=1 -timeout 3h -v ./integration $(ARGS)
	EDRI_SOAK=1 $(GO) test -count=1 -timeout 3h ./store ./log ./consensus/raftlog
	$(GO) test -count=1 -timeout 3h -run Simulat ./consensus -sim.seeds 5000
	$(GO) test -count=1 -timeout 3h ./store ./log ./consensus -rapid.checks 3000

.PHONY: generate
generate: $(GENERATORS) ## Generate code from api/edriv1/*.proto
	$(BIN)/buf generate

# Tools are built again when their version above changes.
$(BIN)/buf: Makefile
	GOBIN=$(BIN) $(GO) install $(BUF)
	@touch $@
$(BIN)/protoc-gen-go: Makefile
	GOBIN=$(BIN) $(GO) install $(GEN_GO)
	@touch $@
$(BIN)/protoc-gen-connect-go: Makefile
	GOBIN=$(BIN) $(GO) install $(GEN_CONNECT)
	@touch $@
$(BIN)/staticcheck: Makefile
	GOBIN=$(BIN) $(GO) install $(STATICCHECK)
	@touch $@
