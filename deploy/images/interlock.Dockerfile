# Core and extension. `make images` makes the same without a registry.
#   docker build -f deploy/images/interlock.Dockerfile -t interlock:dev .
ARG GO=golang:1.26
FROM ${GO} AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /interlock ./cmd/interlock \
	&& mkdir -p /root-fs/run/interlock /root-fs/var/lib/interlock /root-fs/tmp && chmod 1777 /root-fs/tmp

FROM scratch
COPY --from=build /root-fs/ /
COPY --from=build /interlock /interlock
ENTRYPOINT ["/interlock"]
