package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

// askWithin bounds one request, maxAnswer one answer in bytes.
const (
	askWithin = 5 * time.Second
	maxAnswer = 64 << 10
)

// asker makes requests to one proxy, one after the other. With keep it uses a
// connection again unless that was closed before it sends.
type asker struct {
	proxy netip.AddrPort
	host  string
	keep  bool
	conn  *conn
}

type conn struct {
	net.Conn
	r *bufio.Reader
}

// answer is a status and, with 200, the task that answered.
type answer struct {
	status int
	task   string
}

func (a *asker) ask() (answer, error) {
	c, err := a.connect()
	if err != nil {
		return answer{}, err
	}
	got, again, err := exchange(c, a.host, a.keep)
	if again {
		a.conn = c
	} else {
		c.Close()
	}
	return got, err
}

func (a *asker) close() {
	if a.conn != nil {
		a.conn.Close()
		a.conn = nil
	}
}

func (a *asker) connect() (*conn, error) {
	c := a.conn
	a.conn = nil
	if c != nil {
		if c.open() {
			return c, c.SetDeadline(time.Now().Add(askWithin))
		}
		c.Close()
	}
	raw, err := net.DialTimeout("tcp", a.proxy.String(), askWithin)
	if err != nil {
		return nil, err
	}
	c = &conn{raw, bufio.NewReader(raw)}
	if err := c.SetDeadline(time.Now().Add(askWithin)); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	if _, err := io.WriteString(c, introduction(raw.LocalAddr(), raw.RemoteAddr())); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// introduction is the PROXY protocol's first line (version 1), as the load
// balancers send it that the clusters' proxies expect.
func introduction(from, to net.Addr) string {
	f, t := from.(*net.TCPAddr), to.(*net.TCPAddr)
	return fmt.Sprintf("PROXY TCP4 %s %s %d %d\r\n", f.IP, t.IP, f.Port, t.Port)
}

// open looks at the socket without waiting: what is closed is readable.
func (c *conn) open() bool {
	raw, err := c.Conn.(*net.TCPConn).SyscallConn()
	if err != nil || c.r.Buffered() > 0 {
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

// exchange also says whether the connection can be used again.
func exchange(c *conn, host string, keep bool) (got answer, again bool, err error) {
	request := "GET / HTTP/1.1\r\nHost: " + host + "\r\n"
	if !keep {
		request += "Connection: close\r\n"
	}
	if _, err := io.WriteString(c, request+"\r\n"); err != nil {
		return got, false, err
	}
	response, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return got, false, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return got, false, err
	}
	got.status = response.StatusCode
	if got.status == http.StatusOK {
		var said struct{ Host string }
		if err := json.Unmarshal(body, &said); err != nil {
			return got, false, fmt.Errorf("answer %.60q: %w", body, err)
		}
		got.task = said.Host
	}
	return got, keep && !response.Close, nil
}
