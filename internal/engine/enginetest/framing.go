package enginetest

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// testMalformed: what two parsers could read in two ways reaches no
// application. How it is refused is the engine's own.
func testMalformed(t *testing.T, b *bench) {
	b.route("a.org", "/", serveOrigin(t, "a", http.HandlerFunc(wholeBody)))
	b.apply(t)
	const head, post = "GET /app HTTP/1.1\r\nHost: a.org\r\n", "POST /app HTTP/1.1\r\nHost: a.org\r\n"
	for _, raw := range []string{
		head + "Host : b.org\r\n\r\n",
		"GET /app HTTP/1.1\r\nHost: a.org\r\n b.org\r\n\r\n",
		"GET /app HTTP/1.1\r\n Host: a.org\r\n\r\n",
		"GET /app HTTP/1.1\r\nHost: a.org\x00.b.org\r\n\r\n",
		head + "X: a\x00b\r\n\r\n",
		head + ": empty\r\n\r\n",
		head + "no colon\r\n\r\n",
		"G(T /app HTTP/1.1\r\nHost: a.org\r\n\r\n",
		"GET /app HTTP/1.1 x\r\nHost: a.org\r\n\r\n",
		"GET /app http/1.1\r\nHost: a.org\r\n\r\n",
		"GET /app\r\n\r\n",
		post + "Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde",
		post + "Content-Length: +4\r\n\r\nabcd",
		post + "Content-Length: -1\r\n\r\n",
		post + "Content-Length: 4 4\r\n\r\nabcd",
		post + "Content-Length: 0x4\r\n\r\nabcd",
		post + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
		post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		post + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
		post + "Transfer-Encoding: chunked\r\n\r\n+4\r\nabcd\r\n0\r\n\r\n",
	} {
		conn := dial(t, b.address())
		got, err := ask(conn, bufio.NewReader(conn), raw)
		if err == nil && got.origin() != "" && got.status < 400 {
			t.Errorf("%q reached the application", raw)
		}
		_ = conn.Close()
	}
}

// wholeBody answers with the whole body, as an application does that needs it: not
// before it has been read, and with 500 when it can't be.
func wholeBody(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Origin", "a")
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
	}
	_, _ = w.Write(body)
}

// testBodies: bodies of any framing arrive as they were sent, both ways.
func testBodies(t *testing.T, b *bench) {
	b.route("a.org", "/", serveOrigin(t, "a", http.HandlerFunc(wholeBody)))
	b.apply(t)
	large := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	for name, body := range map[string]io.Reader{
		"length":  bytes.NewReader(large),
		"chunked": io.MultiReader(bytes.NewReader(large)),
		"empty":   strings.NewReader(""),
	} {
		request, err := http.NewRequestWithContext(t.Context(), "PUT", "http://"+b.address()+"/", body)
		if err != nil {
			t.Fatal(err)
		}
		request.Host = "a.org"
		if name == "length" {
			request.Header.Set("Expect", "100-continue")
		}
		want := len(large)
		if name == "empty" {
			want = 0
		}
		if err := exchange(request, want); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func exchange(request *http.Request, want int) error {
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true, ExpectContinueTimeout: patience}}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != 200 || len(body) != want {
		return fmt.Errorf("status %d, %d bytes of %d, %v", response.StatusCode, len(body), want, err)
	}
	return nil
}
