package haproxy

import (
	"testing"
)

// TestChunksOfHTTP10AreRefused: HTTP/1.0 has no chunks, and a server that knows
// so takes the body for the next request.
func TestChunksOfHTTP10AreRefused(t *testing.T) {
	table := testTable(testBase(t), "a.example.com/")
	serve(t, table)
	const head, chunks = "POST / HTTP/1.0\r\nHost: a.example.com\r\n", "3\r\nabc\r\n0\r\n\r\n"
	for name, c := range map[string]struct {
		request string
		want    int
	}{
		"chunked":         {head + "Transfer-Encoding: chunked\r\n\r\n" + chunks, 400},
		"kept open":       {head + "Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks, 400},
		"and a length":    {head + "Transfer-Encoding: chunked\r\nContent-Length: 13\r\n\r\n" + chunks, 400},
		"a length alone":  {head + "Content-Length: 3\r\n\r\nabc", 200},
		"as in HTTP/1.1":  {"POST / HTTP/1.1\r\nHost: a.example.com\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks, 200},
		"no body at all":  {"GET / HTTP/1.0\r\nHost: a.example.com\r\n\r\n", 200},
		"without a Host":  {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks, 400},
		"unknown section": {"POST / HTTP/1.0\r\nHost: b.example.com\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks, 400},
	} {
		t.Run(name, func(t *testing.T) {
			if res, _ := raw(t, local(table.Base.HTTPPort), c.request); res.StatusCode != c.want {
				t.Errorf("status %d", res.StatusCode)
			}
		})
	}
}
