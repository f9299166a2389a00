package docker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"
)

// ErrNotHere means that no container of a service runs on the node whose Engine
// was asked: the Engine can run commands only in its own containers.
var ErrNotHere = errors.New("no container of the service runs on this node")

// ExecPipe runs a command in a running container of the service and returns a
// connection to its standard input and output. Docker's access control decides
// who may. What the command writes to standard error (its first 4 kB) is the
// error of a read after its end. It returns ErrNotHere when the container is on
// another node. Closing the connection ends the command's input.
func (c *Client) ExecPipe(ctx context.Context, service string, cmd []string) (net.Conn, error) {
	id, err := c.containerOf(ctx, service)
	if err != nil {
		return nil, err
	}
	var created client.ExecCreateResult
	err = c.call(ctx, "exec in "+service, func(ctx context.Context) (err error) {
		created, err = c.api.ExecCreate(ctx, id, client.ExecCreateOptions{
			AttachStdin: true, AttachStdout: true, AttachStderr: true, Cmd: cmd,
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	attached, err := c.api.ExecAttach(ctx, created.ID, client.ExecAttachOptions{})
	if err != nil {
		return nil, fmt.Errorf("docker: attach to exec in %s: %w", service, err)
	}
	return newPipe(attached.HijackedResponse), nil
}

func (c *Client) containerOf(ctx context.Context, service string) (string, error) {
	var found client.ContainerListResult
	err := c.call(ctx, "list containers of "+service, func(ctx context.Context) (err error) {
		found, err = c.api.ContainerList(ctx, client.ContainerListOptions{Filters: make(client.Filters).
			Add("label", "com.docker.swarm.service.name="+service).Add("status", "running")})
		return err
	})
	if err != nil {
		return "", err
	}
	if len(found.Items) == 0 {
		return "", fmt.Errorf("docker: %s at %s: %w", service, c.Host(), ErrNotHere)
	}
	return found.Items[0].ID, nil
}

// pipe is the connection of an exec: what it reads is the command's output,
// taken apart from its errors.
type pipe struct {
	net.Conn
	out    *io.PipeReader
	stderr *head
}

func newPipe(h client.HijackedResponse) *pipe {
	out, in := io.Pipe()
	p := &pipe{Conn: h.Conn, out: out, stderr: &head{max: 4 << 10}}
	go func() {
		_, err := stdcopy.StdCopy(in, p.stderr, h.Reader)
		if said := p.stderr.text(); err == nil && said != "" {
			err = errors.New(said)
		}
		in.CloseWithError(err)
	}()
	return p
}

func (p *pipe) Read(b []byte) (int, error) { return p.out.Read(b) }

func (p *pipe) Close() error {
	return errors.Join(p.out.Close(), p.Conn.Close())
}

// CloseWrite ends the command's input and leaves its output open.
func (p *pipe) CloseWrite() error {
	if half, ok := p.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// head keeps the first max bytes of what is written to it.
type head struct {
	mu  sync.Mutex
	buf bytes.Buffer
	max int
}

func (t *head) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf.Write(b[:min(len(b), max(0, t.max-t.buf.Len()))])
	return len(b), nil
}

func (t *head) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.buf.Bytes()))
}
