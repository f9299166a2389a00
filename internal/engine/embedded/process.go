package embedded

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"interlock/internal/engine"
	"interlock/internal/runfolder"
)

// The orders, HTTP on the socket, version 1. None has a body: what is to be
// read is in the run folder. Each is answered with an answer in JSON.
const (
	orderBundle    = "/v1/bundle"
	orderEndpoints = "/v1/endpoints"
	orderHealth    = "/v1/health"
	orderNothing   = "/v1/running"
)

const (
	// orderTimeout bounds reading an order and writing its answer.
	orderTimeout = 5 * time.Second
	maxOrder     = 4 << 10
	maxAnswer    = 64 << 10
)

// answer to an order. Revision is what runs afterwards, "" for nothing; at
// most one of the others is set, if the order was not carried out.
type answer struct {
	Revision string `json:"revision,omitempty"`
	Refusal  string `json:"refusal,omitempty"`
	Error    string `json:"error,omitempty"`
}

// Serve runs the engine as a process of its own, driven by a Remote over a
// socket in the run folder (mode 0600), until ctx ends; then it closes the
// listeners and returns as Run does. What the folder has is served at once. An
// error means that it can't be, and the process is to be started again.
func Serve(ctx context.Context, folder runfolder.Folder, o Options) error {
	// First the socket, then the files: whoever changes a file and finds
	// nobody to tell does so before it is read here.
	ln, err := listenOrders(ctx, folder)
	if err != nil {
		return fmt.Errorf("embedded engine: %w", err)
	}
	defer ln.Close()
	e := New(o)
	if err := e.loadHealth(ctx, folder); err != nil {
		return fmt.Errorf("embedded engine: %w", err)
	}
	if err := e.loadBundle(ctx, folder); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("embedded engine: %w", err)
	}
	return e.serveOrders(ctx, folder, ln)
}

// serveOrders takes orders as long as anything is served.
func (e *Engine) serveOrders(ctx context.Context, folder runfolder.Folder, ln net.Listener) error {
	server := &http.Server{
		Handler:     (&orders{engine: e, folder: folder}).handler(),
		ReadTimeout: orderTimeout, MaxHeaderBytes: maxOrder,
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		if err := server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("embedded engine: take orders: %w", err)
		}
		return nil
	})
	g.Go(func() error {
		defer server.Close()
		return e.Run(ctx)
	})
	return g.Wait()
}

// listenOrders replaces the socket that a dead engine has left.
func listenOrders(ctx context.Context, folder runfolder.Folder) (net.Listener, error) {
	path := folder.Path(socketFile)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	// Linux gives the file the mode of the socket: nobody else can connect at
	// any time.
	private := func(_, _ string, c syscall.RawConn) (err error) {
		return errors.Join(c.Control(func(fd uintptr) { err = syscall.Fchmod(int(fd), 0o600) }), err)
	}
	lc := net.ListenConfig{Control: private}
	return lc.Listen(ctx, "unix", path)
}

// orders carries them out, one at a time: an order always reads what was
// written before it was given.
type orders struct {
	mu     sync.Mutex
	engine *Engine
	folder runfolder.Folder
}

func (o *orders) handler() http.Handler {
	mux := http.NewServeMux()
	for path, do := range map[string]func(context.Context, runfolder.Folder) error{
		orderBundle:    o.engine.loadBundle,
		orderEndpoints: o.engine.loadEndpoints,
		orderHealth:    o.engine.loadHealth,
		orderNothing:   func(context.Context, runfolder.Folder) error { return nil },
	} {
		mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(o.carryOut(r.Context(), do)) // the caller has left
		})
	}
	return mux
}

func (o *orders) carryOut(ctx context.Context, do func(context.Context, runfolder.Folder) error) (a answer) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var refusal *engine.Refusal
	switch err := do(ctx, o.folder); {
	case errors.As(err, &refusal):
		a.Refusal = refusal.Words
	case err != nil:
		a.Error = err.Error()
	}
	a.Revision, _ = o.engine.Running(ctx) // an error says that there is none
	return a
}
