# Everything a developer runs. Each target does all its own set-up.
VERSION ?= dev
GO      ?= go
LDFLAGS := -s -w -X main.version=$(VERSION)

# What is shipped is static; tests want the race detector, which needs cgo.
STATIC  := CGO_ENABLED=0 $(GO) build -trimpath
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

.PHONY: help tools build programs images load up down test e2e lint bench

help: ## this list
	@sed -n 's/^\([a-z0-9-]*\):[^#]*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

tools: ## packages, and an HAProxy 3.0 under .run/
	@scripts/tools.sh

build: ## bin/interlock, static
	$(STATIC) -ldflags '$(LDFLAGS)' -o bin/interlock ./cmd/interlock

programs: build
	$(STATIC) -ldflags '-s -w' -o bin/demo ./test/demo
	$(STATIC) -ldflags '-s -w' -o bin/faulty ./test/faultyextension
	$(STATIC) -ldflags '-s -w' -o bin/lab ./test/e2e/lab

images: tools programs ## image archives under .run/images/, without a registry
	@bin/lab images --version $(VERSION)

load: images ## the images, into the engine that docker talks to
	for image in .run/images/*.tar; do docker load --quiet --input "$$image"; done

up: images ## a three-node Swarm of its own with everything, and the story
	@bin/lab up

down: ## remove what up made, also after a crash
	@if [ -x bin/lab ]; then bin/lab down; else $(GO) run ./test/e2e/lab down; fi

test: images ## all tests, with real engines and real Swarms
	scripts/test.sh

e2e: images ## only the story
	$(GO) test -v -count=1 -timeout 45m ./test/e2e

lint: ## gofmt, vet, staticcheck
	scripts/lint.sh $(STATICCHECK)

bench: images ## the figures; each is one command under bench/
	scripts/bench.sh
