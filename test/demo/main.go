// Demo is the application that the demonstration and the tests deploy: it says
// who it is and what it was asked, echoes over a websocket, and can be slow.
//
// Environment: APP, APP_ENV and VERSION are said in every answer; LISTEN is the
// address, by default :8080.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/coder/websocket"
)

// Answer is what every path but those of websockets answers.
type Answer struct {
	App     string      `json:"app"`
	Env     string      `json:"env"`
	Version string      `json:"version"`
	Host    string      `json:"host"` // of the container
	Method  string      `json:"method"`
	Path    string      `json:"path"` // as received
	Client  string      `json:"client"`
	Body    int64       `json:"body"` // bytes received
	Headers http.Header `json:"headers"`
}

// maxBody and maxDelay bound what one request may cost.
const (
	maxBody  = 16 << 20
	maxDelay = time.Minute
)

func main() {
	if err := run(); err != nil {
		slog.Error("demo ends", "error", err)
		os.Exit(1)
	}
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	me := Answer{App: os.Getenv("APP"), Env: os.Getenv("APP_ENV"), Version: os.Getenv("VERSION"), Host: host}
	server := &http.Server{
		Addr:              cmp.Or(os.Getenv("LISTEN"), ":8080"),
		Handler:           handler(me),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
	}
	done := context.AfterFunc(ctx, func() { shutdown(server) })
	defer done()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// shutdown finishes the requests under way, as any well-behaved application does.
func shutdown(server *http.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Second)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		slog.Warn("requests were cut off", "error", err)
	}
}

func handler(me Answer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/ws" || strings.HasSuffix(r.URL.Path, "/ws"):
			echo(w, r)
		case r.URL.Path == "/slow" || strings.HasSuffix(r.URL.Path, "/slow"):
			delay(r)
			answer(w, r, me)
		default:
			answer(w, r, me)
		}
	})
}

func delay(r *http.Request) {
	d, err := time.ParseDuration(r.URL.Query().Get("d"))
	if err != nil || d < 0 {
		d = time.Second
	}
	select {
	case <-time.After(min(d, maxDelay)):
	case <-r.Context().Done():
	}
}

func answer(w http.ResponseWriter, r *http.Request, me Answer) {
	n, err := io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	me.Method, me.Path, me.Client, me.Body, me.Headers = r.Method, r.RequestURI, r.RemoteAddr, n, r.Header
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(me) // the client is gone: nobody to tell
}

// echo sends every message back until the client ends.
func echo(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return // Accept has answered
	}
	defer c.CloseNow()
	for {
		kind, data, err := c.Read(r.Context())
		if err != nil {
			return
		}
		if err := c.Write(r.Context(), kind, data); err != nil {
			return
		}
	}
}
