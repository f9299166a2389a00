// Package docker is the only package that talks to the Docker Engine, and the
// only one that knows its API's types. What it reads it hands on as plain
// values: a swarm.Snapshot, a provision.Present.
//
// Every call has a deadline and goes through one rate limit, so that a busy
// Swarm does not make Interlock a burden on its managers.
package docker

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"
)

// Options of Connect. The zero value means the user's own Docker context.
type Options struct {
	// Host is an address as in DOCKER_HOST; "" asks the environment, then the
	// user's current Docker context.
	Host string
	// CACert, Cert and Key are files for a remote Engine with TLS; empty: none.
	CACert, Cert, Key string
	// Deadline of one call; 0 means 10 s.
	Deadline time.Duration
	// Rate is calls per second, with bursts of as many; 0 means 50.
	Rate int
}

// answerMax bounds one answer of the Engine in bytes: 100,000 tasks are 170 MB.
const answerMax = 512 << 20

// Client is a connection to one Engine. It is safe for concurrent use.
type Client struct {
	api      *client.Client
	http     *http.Client
	limit    *limiter
	deadline time.Duration
}

// Connect finds the Engine and agrees with it on an API version, 1.41 (Engine
// 20.10) or later.
func Connect(ctx context.Context, o Options) (*Client, error) {
	opts, err := o.resolve()
	if err != nil {
		return nil, fmt.Errorf("find Docker: %w", err)
	}
	api, err := client.New(opts...)
	if err != nil {
		return nil, fmt.Errorf("connect to Docker: %w", err)
	}
	c := &Client{
		api:      api,
		limit:    newLimiter(cmp.Or(o.Rate, 50)),
		deadline: cmp.Or(o.Deadline, 10*time.Second),
	}
	dial := api.Dialer()
	c.http = &http.Client{Transport: &http.Transport{
		DialContext:         func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
		MaxIdleConnsPerHost: 4,
		IdleConnTimeout:     time.Minute,
	}}
	err = c.call(ctx, "ping", func(ctx context.Context) error {
		_, err := api.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true})
		return err
	})
	if err != nil {
		api.Close()
		return nil, err
	}
	return c, nil
}

// Close ends idle connections.
func (c *Client) Close() error {
	c.http.CloseIdleConnections()
	return c.api.Close()
}

// Host is the Engine's address.
func (c *Client) Host() string { return c.api.DaemonHost() }

// call runs one exchange with the Engine within rate and deadline. Its error
// matches fs.ErrExist or fs.ErrNotExist where that is what the Engine said.
func (c *Client) call(ctx context.Context, what string, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, c.deadline)
	defer cancel()
	if err := c.limit.wait(ctx); err != nil {
		return fmt.Errorf("docker: %s: %w", what, err)
	}
	err := do(ctx)
	switch {
	case err == nil:
		return nil
	case errdefs.IsConflict(err) || errdefs.IsAlreadyExists(err):
		err = errors.Join(fs.ErrExist, err)
	case errdefs.IsNotFound(err):
		err = errors.Join(fs.ErrNotExist, err)
	}
	return fmt.Errorf("docker: %s: %w", what, err)
}

// list returns the objects of a list as the Engine wrote them.
func (c *Client) list(ctx context.Context, path string, filters client.Filters) ([]json.RawMessage, error) {
	var out []json.RawMessage
	err := c.call(ctx, "list "+path, func(ctx context.Context) error {
		query := url.Values{}
		if len(filters) > 0 {
			encoded, err := json.Marshal(filters)
			if err != nil {
				return err
			}
			query.Set("filters", string(encoded))
		}
		return c.get(ctx, "/"+path+"?"+query.Encode(), &out)
	})
	return out, err
}

func (c *Client) get(ctx context.Context, path string, into any) error {
	address := "http://docker/v" + c.api.ClientVersion() + path
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body := &io.LimitedReader{R: response.Body, N: answerMax}
	if response.StatusCode != http.StatusOK {
		return answerError(response.StatusCode, body)
	}
	if err := json.NewDecoder(body).Decode(into); err != nil {
		return fmt.Errorf("read answer (%d bytes left of %d): %w", body.N, answerMax, err)
	}
	return nil
}

func answerError(status int, body io.Reader) error {
	var answer struct{ Message string }
	text, _ := io.ReadAll(io.LimitReader(body, 4<<10))
	if json.Unmarshal(text, &answer) != nil || answer.Message == "" {
		answer.Message = http.StatusText(status)
	}
	err := fmt.Errorf("%s (HTTP %d)", answer.Message, status)
	if status == http.StatusNotFound {
		err = errors.Join(fs.ErrNotExist, err)
	}
	return err
}

// Lists fetches everything at once, in the order secrets, networks, nodes,
// services, tasks, configs: what is named comes before what names it. All is
// for the snapshot verb: with it, configs that are not ours are listed too.
func (c *Client) Lists(ctx context.Context, all bool) (Lists, error) {
	var l Lists
	for _, step := range []struct {
		path    string
		filters client.Filters
		to      *[]json.RawMessage
	}{
		{"secrets", nil, &l.Secrets},
		{"networks", swarmScope(), &l.Networks},
		{"nodes", nil, &l.Nodes},
		{"services", nil, &l.Services},
		{"tasks", nil, &l.Tasks},
		{"configs", configFilter(all), &l.Configs},
	} {
		raws, err := c.list(ctx, step.path, step.filters)
		if err != nil {
			return l, err
		}
		*step.to = raws
	}
	return l, nil
}

func swarmScope() client.Filters { return make(client.Filters).Add("scope", "swarm") }

// configFilter keeps the data of other people's configs out of this process:
// a list of configs carries all of it [E4].
func configFilter(all bool) client.Filters {
	if all {
		return nil
	}
	return make(client.Filters).Add("label", ManagedLabel+"=true")
}
