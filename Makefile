# What people run. Everything here works on a fresh Debian or Ubuntu with Rust: what is missing is installed first.
SHELL := /bin/bash
FUZZ_SECONDS ?= 60
CARGO ?= cargo
# All but those that need a quiet machine or many minutes, which `make e2e` runs too: failover under 5,000 packets/s, faults, network policies,
# a helm test that has to fail.
FLEET_TESTS := bgp conditions control_plane counting docs domains editing helm-test isolation monitoring operating privileges scale telemetry tokens uninstall
# The fuzz targets are a workspace of their own.
FUZZ := --manifest-path relay/fuzz/Cargo.toml

.PHONY: help
help: ## Show this list
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: tools ## Build culvert-relay, culvert-speaker, culvertctl and culvert-operator, optimized, into target/release
	$(CARGO) build --release --locked -p culvert-relay -p culvert-speaker -p culvertctl -p culvert-operator

.PHONY: meter
meter: tools
	$(CARGO) build --release --locked -p meter

.PHONY: demo
demo: build ## Watch two customers' traffic cross a border relay (root; network namespaces of its own; a minute)
	e2e/lab/demo

.PHONY: check
check: tools ## The quick part of the tests: format, lints, unit and property tests, alerts
	$(CARGO) fmt --all --check
	$(CARGO) fmt $(FUZZ) --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	$(CARGO) clippy $(FUZZ) --target-dir target --all-targets --locked -- -D warnings
	$(CARGO) test --workspace --locked
	$(CARGO) test $(FUZZ) --target-dir target --locked
	deploy/monitoring/check

.PHONY: test
test: check build meter images ## All tests: the quick part, the documentation, what is installed, the API, the lab, and a fleet on a real cluster, but for failover, faults, network policies (root; Go)
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked --quiet
	e2e/docs/test
	@scripts/install-tools cluster
	e2e/api/run
	e2e/install/test
	e2e/lab/run
	e2e/fleet/run $(FLEET_TESTS)

.PHONY: api
api: tools ## Compare a real API server with our checks, by cases and random specs (root, Go; or KUBECONFIG)
	@[ -n "$$KUBECONFIG" ] || scripts/install-tools cluster
	e2e/api/run

.PHONY: audit
audit: ## Licences, banned crates and sources of everything we depend on
	scripts/install-cargo-deny
	PATH="$${CULVERT_CACHE:-$$HOME/.cache/culvert}/tools/bin:$$PATH" $(CARGO) deny --all-features check licenses bans sources

.PHONY: bench
bench: build ## Instructions, allocations and times per packet, as a table and target/bench.json (root)
	e2e/bench/run

.PHONY: book
book: ## The documentation as a site, in target/book, and every link in it followed
	scripts/install-mdbook
	e2e/docs/book

.PHONY: fuzz
fuzz: tools ## Fuzz packets, manifests, captures and Junos configurations, each for FUZZ_SECONDS (60)
	FUZZ_SECONDS=$(FUZZ_SECONDS) relay/fuzz/run

.PHONY: images
images: tools ## Build the images into target/images, with buildah, podman or docker (a static build of its own: minutes)
	deploy/images/build

.PHONY: cluster
cluster: ## A real Kubernetes of two nodes with routers around it (root; Go; builds it once, ten minutes)
	@scripts/install-tools cluster
	e2e/cluster/run up

.PHONY: play
play: build images ## Culvert, a fleet of two relays and a domain on the cluster that `make cluster` made
	e2e/fleet/play

.PHONY: e2e
e2e: build meter images ## A fleet, end to end: install, apply, scale, edit, break, uninstall, under counted traffic (root; Go)
	@scripts/install-tools cluster
	e2e/fleet/run

.PHONY: pictures
pictures: build meter images ## What the dashboards show of a fleet under traffic and faults, drawn into docs/pictures (root; Go)
	@scripts/install-tools cluster
	e2e/fleet/run monitoring
	deploy/monitoring/draw

.PHONY: failover
failover: build meter images ## What a fleet with BGP loses when it is scaled, upgraded, killed, cut: a table, RUNS (5) of each event (root; Go)
	@scripts/install-tools cluster
	e2e/fleet/failover

.PHONY: scale
scale: build meter images ## 300 domains of 10 rules in 20 fleets: time to programmed, requests, the operator's memory, a table (root; Go)
	@scripts/install-tools cluster
	e2e/fleet/scale

.PHONY: soak
soak: build meter images ## A fleet under traffic and random events for MINUTES (10), by SEED: what is lost without a reason, what grows (root; Go)
	@scripts/install-tools cluster
	e2e/fleet/soak

.PHONY: bgp-scale
bgp-scale: ## How long a router takes to follow 32 relays with 1,000 prefixes: a table (root)
	@scripts/install-tools cluster
	e2e/scale/run

.PHONY: cluster-down
cluster-down: ## Remove what `make cluster` made, all of it
	e2e/cluster/run down

.PHONY: mutants
mutants: tools ## Break the packet path and the mapping in each of 2,000 places: do tests notice? MUTANTS="-f FILE" for a part
	scripts/mutants $(MUTANTS)

.PHONY: tools
tools:
	@scripts/install-tools
