package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"interlock/internal/api"
	"interlock/internal/docker"
	"interlock/internal/provision"
)

// answerMax bounds an answer of core in bytes.
const answerMax = 256 << 20

// errLate is said instead of Go's words for a deadline.
var errLate = errors.New("there was no answer in time")

// Client asks core's API.
type Client struct {
	http  *http.Client
	close func() error
}

// HintError is an error with advice.
type HintError struct {
	Err  error
	Hint string
}

func (e *HintError) Error() string { return e.Err.Error() }
func (e *HintError) Unwrap() error { return e.Err }

// Connect reaches core: through its socket where that is (in core's container),
// else through Docker's exec in the user's own context, whose access control is
// ours, at host or ("") where the docker command would look. It dials when the first question is asked.
func Connect(ctx context.Context, host string) (*Client, error) {
	if _, err := os.Stat(api.Socket); err == nil {
		return Dial(func(ctx context.Context) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", api.Socket)
		}), nil
	}
	engine, err := docker.Connect(ctx, docker.Options{Host: host})
	if err != nil {
		return nil, &HintError{fmt.Errorf("reach Docker: %w", err), "core is reached through Docker: set DOCKER_HOST or choose a context with `docker context use`"}
	}
	c := Dial(func(ctx context.Context) (net.Conn, error) {
		conn, err := engine.ExecPipe(ctx, provision.CoreService, []string{"/interlock", "api-pipe"})
		if err != nil {
			return nil, explained(ctx, engine, err)
		}
		return conn, nil
	})
	c.close = engine.Close
	return c, nil
}

// explained says what to do about an exec that can't work. On a manager it
// looks at how core runs; elsewhere Docker does not tell.
func explained(ctx context.Context, engine *docker.Client, err error) error {
	if !errors.Is(err, docker.ErrNotHere) {
		return err
	}
	core, unseen := engine.Running(ctx, provision.CoreService)
	if unseen != nil {
		return &HintError{err, "Docker runs commands only in containers of the node it is asked on, and only managers know core's: " +
			"point DOCKER_HOST or a context at a manager"}
	}
	if message, fix := core.Fault(provision.CoreService); message != "" {
		return &HintError{errors.New(message), fix}
	}
	return &HintError{fmt.Errorf("core runs on node %s, and Docker was asked at %s", core.Node(), engine.Host()),
		"Docker runs commands only in containers of the node it is asked on: say --host ssh://" + core.Node() +
			", or point DOCKER_HOST or a context at that node"}
}

// Dial makes a client that reaches core by dial.
func Dial(dial func(context.Context) (net.Conn, error)) *Client {
	transport := &http.Transport{
		DialContext:     func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
		MaxConnsPerHost: 2,
	}
	return &Client{http: &http.Client{Transport: transport, Timeout: time.Minute}, close: func() error { return nil }}
}

// Close ends connections.
func (c *Client) Close() error {
	c.http.CloseIdleConnections()
	return c.close()
}

// Get asks for path, such as "status", and decodes the answer.
func (c *Client) Get(ctx context.Context, path string, query url.Values, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://core/v1/"+path+"?"+query.Encode(), nil)
	if err != nil {
		return fmt.Errorf("ask core: %w", err)
	}
	return c.do(req, path, into)
}

// Post has core do what body says and decodes the answer.
func (c *Client) Post(ctx context.Context, path string, body, into any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("tell core: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://core/v1/"+path, bytes.NewReader(data))
	if err != nil {
		return fmt.Errorf("tell core: %w", err)
	}
	return c.do(req, path, into)
}

func (c *Client) do(req *http.Request, path string, into any) error {
	res, err := c.http.Do(req)
	var noise *url.Error // its address is nobody's
	if errors.As(err, &noise) {
		err = noise.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("ask core for its %s: %w", path, errLate)
	}
	if err != nil {
		return fmt.Errorf("ask core for its %s: %w", path, err)
	}
	defer res.Body.Close()
	body := io.LimitReader(res.Body, answerMax)
	if res.StatusCode != http.StatusOK {
		var answer struct{ Error string }
		_ = json.NewDecoder(body).Decode(&answer)
		return fmt.Errorf("core answers: %s (%d)", Printable(answer.Error), res.StatusCode)
	}
	if err := json.NewDecoder(body).Decode(into); err != nil {
		return fmt.Errorf("read core's %s: %w", path, err)
	}
	return nil
}
