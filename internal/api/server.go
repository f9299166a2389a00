package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"interlock/routing"
)

// Source answers the questions of the API. Its methods may be called
// concurrently; they return values that nobody changes after.
type Source interface {
	Status() Status
	Routes() []Route
	Problems() []routing.Problem
	// Plan is what provisioning would do, Explain which route a URL takes in a
	// cluster; both are encoded as JSON.
	Plan(ctx context.Context) (any, error)
	Explain(ctx context.Context, cluster, url string) (any, error)
	Counters() []Counter
	// Approve returns when the approval is stored.
	Approve(ctx context.Context, a Approval) (Approval, error)
	// Claims lists who holds what; the others change it, and return who holds
	// the host after that, once it is stored.
	Claims() []Claim
	ReleaseClaims(ctx context.Context, o ClaimOrder) ([]Claim, error)
	TransferClaims(ctx context.Context, o ClaimOrder) ([]Claim, error)
}

// ErrBadRequest is matched by errors that the caller of the API caused.
var ErrBadRequest = errors.New("bad request")

const (
	deadline = 30 * time.Second
	// maxOrder bounds what a caller wants done, in bytes.
	maxOrder = 64 << 10
)

// Handler serves the API.
func Handler(src Source, log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	answer := func(pattern string, f func(*http.Request) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithTimeout(r.Context(), deadline)
			defer cancel()
			v, err := f(r.WithContext(ctx))
			write(w, v, err, log)
		})
	}
	answer("GET /v1/status", func(*http.Request) (any, error) { return src.Status(), nil })
	answer("GET /v1/routes", func(r *http.Request) (any, error) {
		return wanted(src.Routes(), r, func(v Route) string { return v.Cluster }), nil
	})
	answer("GET /v1/problems", func(r *http.Request) (any, error) {
		return wanted(src.Problems(), r, func(v routing.Problem) string { return v.Cluster }), nil
	})
	answer("GET /v1/plan", func(r *http.Request) (any, error) { return src.Plan(r.Context()) })
	answer("GET /v1/explain", func(r *http.Request) (any, error) {
		q := r.URL.Query()
		return src.Explain(r.Context(), q.Get("cluster"), q.Get("url"))
	})
	answer("GET /v1/claims", func(r *http.Request) (any, error) {
		return wanted(src.Claims(), r, func(v Claim) string { return v.Cluster }), nil
	})
	answer("POST /v1/approve", ordered(src.Approve))
	answer("POST /v1/claims/release", ordered(src.ReleaseClaims))
	answer("POST /v1/claims/transfer", ordered(src.TransferClaims))
	mux.HandleFunc("GET /v1/metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		w.Write(metrics(src.Status(), src.Counters()))
	})
	return mux
}

// ordered reads what the caller wants done and does it.
func ordered[Order, Answer any](do func(context.Context, Order) (Answer, error)) func(*http.Request) (any, error) {
	return func(r *http.Request) (any, error) {
		var o Order
		if err := json.NewDecoder(http.MaxBytesReader(nil, r.Body, maxOrder)).Decode(&o); err != nil {
			return nil, fmt.Errorf("%w: the order can't be read: %w", ErrBadRequest, err)
		}
		return do(r.Context(), o)
	}
}

// wanted keeps what concerns the clusters that the request names, all when it
// names none. The result is never nil: it is an array in JSON.
func wanted[T any](all []T, r *http.Request, cluster func(T) string) []T {
	names, some := r.URL.Query()["cluster"]
	out := []T{}
	for _, v := range all {
		if !some || contains(names, cluster(v)) {
			out = append(out, v)
		}
	}
	return out
}

func contains(list []string, s string) bool {
	for _, v := range list {
		if v == s {
			return true
		}
	}
	return false
}

func write(w http.ResponseWriter, v any, err error, log *slog.Logger) {
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		code := http.StatusInternalServerError
		if errors.Is(err, ErrBadRequest) {
			code = http.StatusBadRequest
		}
		w.WriteHeader(code)
		v = map[string]string{"error": err.Error()}
	}
	if err := json.NewEncoder(w).Encode(v); err != nil {
		log.Debug("answer not written", "error", err)
	}
}

// Listen makes the unix socket at path for its owner alone, in place of one
// that a former process left.
func Listen(path string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("make the API's socket: %w", err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("make the API's socket: %w", err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("make the API's socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, fmt.Errorf("make the API's socket: %w", err)
	}
	return l, nil
}

// Serve answers on l until ctx ends. It closes l.
func Serve(ctx context.Context, l net.Listener, h http.Handler) error {
	srv := &http.Server{
		Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: deadline,
		WriteTimeout: 2 * deadline, IdleTimeout: time.Minute, MaxHeaderBytes: 64 << 10,
	}
	stop := context.AfterFunc(ctx, func() { srv.Close() })
	defer stop()
	if err := srv.Serve(l); err != nil && ctx.Err() == nil {
		return fmt.Errorf("serve the API: %w", err)
	}
	return ctx.Err()
}
