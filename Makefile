# Everything a developer runs. Each target does all its own set-up.
VERSION ?= dev
GO      ?= go
export CGO_ENABLED = 0

.PHONY: tools build
tools: ## packages and an HAProxy 3.0 under .run/
	@scripts/tools.sh

build: ## bin/interlock, static
	$(GO) build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o bin/interlock ./cmd/interlock
