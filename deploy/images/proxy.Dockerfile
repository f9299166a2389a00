# A proxy: HAProxy 3.0 or newer with the binary as PID 1. `make images` makes
# the same without a registry.
#   docker build -f deploy/images/proxy.Dockerfile -t interlock-proxy:dev .
# BASE must have HAProxy; HAPROXY says where, and it becomes /usr/sbin/haproxy.
ARG GO=golang:1.26
ARG BASE=haproxy:3.0
FROM ${GO} AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /interlock ./cmd/interlock

FROM ${BASE}
ARG HAPROXY=/usr/local/sbin/haproxy
USER root
RUN mkdir -p /run/interlock /var/lib/interlock \
	&& if [ ! -e /usr/sbin/haproxy ]; then ln -s "${HAPROXY}" /usr/sbin/haproxy; fi
COPY --from=build /interlock /interlock
STOPSIGNAL SIGTERM
ENTRYPOINT ["/interlock"]
CMD ["proxy"]
