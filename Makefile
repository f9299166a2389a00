# Everything a developer runs. Each target does all its own set-up.
VERSION ?= dev
GO      ?= go
LDFLAGS := -s -w -X main.version=$(VERSION)
export CGO_ENABLED = 0

.PHONY: help tools build images load

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

tools: ## packages and an HAProxy 3.0 under .run/
	@scripts/tools.sh

build: ## bin/interlock, static
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/interlock ./cmd/interlock

bin/demo bin/lab: build
	$(GO) build -trimpath -ldflags '-s -w' -o bin/demo ./test/demo
	$(GO) build -trimpath -ldflags '-s -w' -o bin/lab ./test/e2e/lab

images: tools build bin/lab ## image archives under .run/images/, without a registry
	@bin/lab images --version $(VERSION)

load: images ## the images, into the engine that docker talks to
	for image in .run/images/*.tar; do docker load --quiet --input "$$image"; done
