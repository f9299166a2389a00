package main

import (
	"bufio"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
)

// A proxy that ends every kept connection after two requests costs none.
func TestAskerNoticesClose(t *testing.T) {
	proxy, introductions := fakeProxy(t, 2)
	a := &asker{proxy: proxy, host: "x.example.com", keep: true}
	defer a.close()
	for i := range 5 {
		got, err := a.ask()
		if err != nil || got.status != 200 || got.task != "t1" {
			t.Fatalf("request %d: %+v %v", i, got, err)
		}
	}
	if n := len(introductions); n != 3 {
		t.Errorf("%d connections, want 3", n)
	}
	if line := <-introductions; !strings.HasPrefix(line, "PROXY TCP4 127.0.0.1 127.0.0.1 ") {
		t.Errorf("introduced with %q", line)
	}
}

// fakeProxy answers the given number of requests on each connection, the last
// of them with Connection: close.
func fakeProxy(t *testing.T, requests int) (netip.AddrPort, chan string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	introductions := make(chan string, 100)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serveSome(c, requests, introductions)
		}
	}()
	return l.Addr().(*net.TCPAddr).AddrPort(), introductions
}

func serveSome(c net.Conn, requests int, introductions chan<- string) {
	defer c.Close()
	r := bufio.NewReader(c)
	line, _ := r.ReadString('\n')
	introductions <- strings.TrimSpace(line)
	for i := range requests {
		for line != "\r\n" {
			var err error
			if line, err = r.ReadString('\n'); err != nil {
				return
			}
		}
		line = ""
		last := ""
		if i == requests-1 {
			last = "Connection: close\r\n"
		}
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\n%sContent-Length: 13\r\n\r\n{\"host\":\"t1\"}", last)
	}
}
