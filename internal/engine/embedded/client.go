package embedded

import (
	"bufio"
	"bytes"
	"net"
	"net/http"
	"net/textproto"
	"sync"
	"time"
)

// client is a connection from a client. It keeps the head of its first request:
// net/http puts the authority of an absolute-form target in Host's place, and
// the two have to be compared.
type client struct {
	net.Conn
	timeout time.Duration // for one write to make progress
	left    func()
	once    sync.Once

	mu   sync.Mutex
	head []byte
	used bool // the first request's handler has begun
}

func (c *client) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	if !c.used && len(c.head) < 2*maxHeadBytes {
		c.head = append(c.head, p[:n]...)
	}
	c.mu.Unlock()
	return n, err
}

func (c *client) Write(p []byte) (int, error) {
	_ = c.SetWriteDeadline(time.Now().Add(c.timeout))
	return c.Conn.Write(p)
}

func (c *client) Close() error {
	err := c.Conn.Close()
	c.once.Do(c.left)
	return err
}

// firstHead returns what was read up to now if no request was handled on the
// connection before, and nil afterwards.
func (c *client) firstHead() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	head := c.head
	c.head, c.used = nil, true
	return head
}

// hostsOf are the Host headers of a request as sent. For an absolute-form
// target they are known only of a connection's first request (such a request
// is answered with "Connection: close"); false when they are not.
func hostsOf(r *http.Request) ([]string, bool) {
	c, ok := r.Context().Value(clientKey{}).(*client)
	if !ok {
		return nil, false
	}
	head := c.firstHead()
	if r.RequestURI == "" || r.RequestURI[0] == '/' {
		if r.Host == "" && !r.ProtoAtLeast(1, 1) {
			return nil, true
		}
		return []string{r.Host}, true
	}
	lines := textproto.NewReader(bufio.NewReader(bytes.NewReader(head)))
	if line, err := lines.ReadLine(); err != nil || line != r.Method+" "+r.RequestURI+" "+r.Proto {
		return nil, false
	}
	header, err := lines.ReadMIMEHeader()
	return header["Host"], err == nil
}
