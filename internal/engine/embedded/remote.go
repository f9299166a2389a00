package embedded

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"interlock/bundle"
	"interlock/internal/engine"
	"interlock/internal/runfolder"
	"interlock/routing"
)

const (
	// commandTimeout bounds an order that is quickly done, applyTimeout a
	// bundle of the largest size.
	commandTimeout = 5 * time.Second
	applyTimeout   = 30 * time.Second
	// startTimeout bounds the wait for the supervisor to start an engine, and
	// backTimeout that for one that has ended while it was given an order.
	startTimeout = 10 * time.Second
	backTimeout  = 3 * time.Second
	pollInterval = 25 * time.Millisecond
)

// Remote drives an engine that Serve runs in another process of the same
// container. It implements engine.Engine. It does not start the engine: the
// supervisor does, as soon as BundleFile is there, and again whenever it dies.
// Each change is written before it is told, so that an engine that is started
// meanwhile has it.
type Remote struct {
	folder  runfolder.Folder
	listen  func(port int) (net.Listener, error)
	applied bool

	mu   sync.Mutex // for held: Check runs beside the rest
	held []int
}

// NewRemote finds out which ports an engine that an earlier agent has left
// running holds: they are no other program's.
func NewRemote(folder runfolder.Folder) *Remote {
	r := &Remote{folder: folder, listen: listenPort}
	if b, _, err := readStaged(folder); err == nil {
		r.held = b.Ports
	}
	return r
}

// Check implements engine.Engine. It reads the bundle as the engine will and
// opens the ports that the engine does not hold, in this process.
func (r *Remote) Check(_ context.Context, b bundle.Bundle) error {
	t, err := readTable(b)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, port := range portsOf(t) {
		if slices.Contains(r.held, port) {
			continue
		}
		ln, err := r.listen(port)
		if err != nil {
			return &engine.Refusal{Words: fmt.Sprintf("listen on port %d: %v", port, err)}
		}
		_ = ln.Close()
	}
	return nil
}

// Apply implements engine.Engine.
func (r *Remote) Apply(ctx context.Context, b bundle.Bundle, revision string, eps routing.Endpoints) error {
	t, err := readTable(b)
	if err != nil {
		return err
	}
	data, err := encodeStaged(b, revision)
	if err != nil {
		return fmt.Errorf("apply %s: %w", revision, err)
	}
	before, err := os.ReadFile(r.folder.Path(BundleFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("apply %s: %w", revision, err)
	}
	if err := r.folder.SetEndpoints(eps); err != nil {
		return fmt.Errorf("apply %s: %w", revision, err)
	}
	// What fails from here on is put back.
	if err := errors.Join(r.stage(data, before), r.load(ctx, revision)); err != nil {
		return fmt.Errorf("apply %s: %w", revision, errors.Join(err, r.restore(ctx, before)))
	}
	r.applied = true
	r.hold(portsOf(t))
	return nil
}

func (r *Remote) hold(ports []int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held = ports
}

// stage leaves a file that is right as it is: another one would tell the
// supervisor of another bundle.
func (r *Remote) stage(data, before []byte) error {
	if bytes.Equal(data, before) {
		return nil
	}
	return r.folder.Replace(BundleFile, data)
}

// restore makes the file, and an engine that has read it, what was before.
func (r *Remote) restore(ctx context.Context, before []byte) error {
	if before == nil {
		return os.Remove(r.folder.Path(BundleFile))
	}
	if err := r.folder.Replace(BundleFile, before); err != nil {
		return err
	}
	if _, err := r.order(ctx, orderBundle, applyTimeout); !notRunning(err) {
		return err
	}
	return nil
}

// load has the engine read the staged bundle, and returns nil only when it
// says the revision. With no engine there it waits for one to be started.
func (r *Remote) load(ctx context.Context, revision string) error {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for deadline := time.Now().Add(startTimeout); ; {
		running, err := r.order(ctx, orderBundle, applyTimeout)
		switch {
		case err == nil && running == revision:
			return nil
		case err == nil:
			return fmt.Errorf("the running engine says %q, not %q", running, revision)
		case !notRunning(err) || ctx.Err() != nil:
			return err
		case !isConnectFailure(err): // it may have died of the order, or of what was before it
			deadline = earlier(deadline, time.Now().Add(backTimeout))
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the engine did not start: %w", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// SetEndpoints implements engine.Engine. No engine running is no error: it will
// read the file.
func (r *Remote) SetEndpoints(ctx context.Context, eps routing.Endpoints) error {
	if !r.applied {
		return errors.New("set endpoints: no bundle is applied")
	}
	if err := r.folder.SetEndpoints(eps); err != nil {
		return fmt.Errorf("set endpoints: %w", err)
	}
	if _, err := r.order(ctx, orderEndpoints, commandTimeout); err != nil && !notRunning(err) {
		return fmt.Errorf("set endpoints: %w", err)
	}
	return nil
}

// SetHealth implements engine.Engine. No engine running is no error: it will
// read the file.
func (r *Remote) SetHealth(ctx context.Context, h engine.Health) error {
	if err := r.folder.Replace(healthFile, []byte(h)); err != nil {
		return fmt.Errorf("set health: %w", err)
	}
	if _, err := r.order(ctx, orderHealth, commandTimeout); err != nil && !notRunning(err) {
		return fmt.Errorf("set health %s: %w", h, err)
	}
	return nil
}

// Running implements engine.Engine.
func (r *Remote) Running(ctx context.Context) (string, error) {
	revision, err := r.order(ctx, orderNothing, commandTimeout)
	if err == nil && revision == "" {
		err = errNoBundle
	}
	return revision, err
}

// order gives one and returns the revision that runs afterwards.
func (r *Remote) order(ctx context.Context, path string, within time.Duration) (revision string, err error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://engine"+path, nil)
	if err != nil {
		return "", err
	}
	var d net.Dialer
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return d.DialContext(ctx, "unix", r.folder.Path(socketFile))
		},
	}}
	resp, err := client.Do(req)
	if err != nil {
		return "", fmt.Errorf("order the engine: %w", err)
	}
	defer resp.Body.Close()
	var a answer
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&a); err != nil {
		return "", fmt.Errorf("the engine's answer %s: %w", strconv.Quote(resp.Status), err)
	}
	switch {
	case a.Refusal != "":
		return a.Revision, &engine.Refusal{Words: a.Refusal}
	case a.Error != "":
		return a.Revision, errors.New(a.Error)
	}
	return a.Revision, nil
}

// notRunning says of an error of order that no engine has answered.
func notRunning(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && !op.Timeout() || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}
