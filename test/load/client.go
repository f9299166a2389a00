package load

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// body is what a POST carries.
var body = strings.Repeat("0123456789abcdef", 64)

// maxIdle bounds a client's kept connections, maxAnswer what is read of one answer.
const (
	maxIdle   = 16
	maxAnswer = 1 << 20
)

type client struct {
	target  Target
	method  string
	keep    bool
	timeout time.Duration

	mu   sync.Mutex
	idle []*conn
}

type conn struct {
	net.Conn
	r *bufio.Reader
}

// do makes one request.
func (c *client) do() Result {
	res := Result{Env: c.target.Env, Target: c.target.Name, Kind: c.kind(), Began: time.Now()}
	deadline := res.Began.Add(c.timeout)
	cn, err := c.connect(deadline)
	if err != nil {
		res.Class, res.Err, res.Took = Dial, err, time.Since(res.Began)
		return res
	}
	res.Local = local(cn)
	res.Class, res.Code, res.Err = c.exchange(cn)
	res.Took = time.Since(res.Began)
	return res
}

func (c *client) kind() string {
	if c.keep {
		return c.method + " kept"
	}
	return c.method + " new"
}

// connect takes a kept connection that is still open, or makes one.
func (c *client) connect(deadline time.Time) (*conn, error) {
	for {
		cn := c.takeIdle()
		if cn == nil {
			break
		}
		if cn.usable() {
			return cn, cn.SetDeadline(deadline)
		}
		cn.Close()
	}
	d := net.Dialer{Deadline: deadline}
	raw, err := d.Dial("tcp", c.target.Via.String())
	if err != nil {
		return nil, err
	}
	return &conn{raw, bufio.NewReader(raw)}, raw.SetDeadline(deadline)
}

func (c *client) takeIdle() *conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.idle) == 0 {
		return nil
	}
	cn := c.idle[len(c.idle)-1]
	c.idle = c.idle[:len(c.idle)-1]
	return cn
}

func (c *client) putIdle(cn *conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.idle) >= maxIdle {
		cn.Close()
		return
	}
	c.idle = append(c.idle, cn)
}

func (c *client) closeIdle() {
	for cn := c.takeIdle(); cn != nil; cn = c.takeIdle() {
		cn.Close()
	}
}

// usable looks at the socket without waiting: what is closed is readable.
func (c *conn) usable() bool {
	if c.r.Buffered() > 0 {
		return false
	}
	raw, err := c.Conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		return false
	}
	open := false
	err = raw.Control(func(fd uintptr) {
		var b [1]byte
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		open = errors.Is(err, syscall.EAGAIN)
	})
	return err == nil && open
}

// exchange sends the request and judges the answer.
func (c *client) exchange(cn *conn) (Class, int, error) {
	kept := false
	defer func() {
		if !kept {
			cn.Close()
		}
	}()
	if _, err := io.WriteString(cn, c.request()); err != nil {
		return classify(err), 0, err
	}
	answer, err := http.ReadResponse(cn.r, &http.Request{Method: c.method})
	if err != nil {
		return classify(err), 0, err
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return classify(err), 0, err
	}
	if c.keep && !answer.Close {
		kept = true
		c.putIdle(cn)
	}
	if answer.StatusCode != http.StatusOK {
		return Status, answer.StatusCode, fmt.Errorf("answer %q", clip(data))
	}
	if err := c.target.judge(data); err != nil {
		return Wrong, 0, err
	}
	return OK, 0, nil
}

func (c *client) request() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: interlock-load\r\n", c.method, c.target.Path, c.target.Host)
	if !c.keep {
		b.WriteString("Connection: close\r\n")
	}
	if c.method == http.MethodPost {
		fmt.Fprintf(&b, "Content-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	} else {
		b.WriteString("\r\n")
	}
	return b.String()
}

// judge says whether the right application answered.
func (t Target) judge(data []byte) error {
	var a struct{ App, Env string }
	if err := json.Unmarshal(data, &a); err != nil {
		return fmt.Errorf("answer %q: %w", clip(data), err)
	}
	if a.Env != t.Env || len(t.Apps) > 0 && !slices.Contains(t.Apps, a.App) {
		return fmt.Errorf("%s of %s answered", a.App, a.Env)
	}
	return nil
}

func clip(data []byte) string { return strings.TrimSpace(string(data[:min(len(data), 120)])) }

func classify(err error) Class {
	var timeout net.Error
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return Timeout
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return EOF
	default:
		return Reset
	}
}

// local is the client's end of a connection, zero when it isn't TCP.
func local(c net.Conn) netip.AddrPort {
	if a, ok := c.LocalAddr().(*net.TCPAddr); ok {
		return a.AddrPort()
	}
	return netip.AddrPort{}
}
