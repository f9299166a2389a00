package haproxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"interlock/routing"
)

// get sends a request with extra header lines and returns status, the answer's
// headers and what reached the origin, in lower case.
func get(t *testing.T, addr, host, path string, lines ...string) (status int, header map[string][]string, reached string) {
	t.Helper()
	head := fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\n", path, host)
	for _, l := range lines {
		head += l + "\r\n"
	}
	res, body := raw(t, addr, head+"\r\n")
	return res.StatusCode, res.Header, strings.ToLower(body)
}

func TestRequestHeaders(t *testing.T) {
	table := testTable(testBase(t), "a.example.com/")
	serve(t, table)
	_, header, reached := get(t, local(table.Base.HTTPPort), "A.example.com:80", "/",
		"X-Forwarded-For: 6.6.6.6", "X-Forwarded-For: 7.7.7.7", "X_Forwarded_For: 8.8.8.8", "X-Real-IP: 6.6.6.6",
		"X-Forwarded-Proto: https", "X-Forwarded-Host: evil", "X-Forwarded-Port: 1", "X-Forwarded-Prefix: /evil", "Forwarded: for=6.6.6.6",
		"X-Request-ID: evil", "PROXY: evil", "Proxy-Connection: evil", "Keep-Alive: timeout=9", "KEEP-ALIVE: evil", "x-forwarded-: evil", "fORWARDED: evil", "Connection: close, X-Forwarded-For, X-Real-IP", "Upgrade: h2c",
		"Proxy-Authorization: kept", "X-Forward: kept")
	for _, want := range []string{"\nhost: a.example.com:80\r\n", "x-real-ip: 127.0.0.1\r\n", "x-forwarded-for: 127.0.0.1\r\n",
		"x-forwarded-proto: http\r\n", "x-forwarded-host: a.example.com:80\r\n"} {
		if strings.Count(reached, want) != 1 {
			t.Errorf("%q is not exactly once in %q", want, reached)
		}
	}
	for _, unwanted := range []string{"6.6.6.6", "7.7.7.7", "8.8.8.8", "evil", "forwarded-port", "connection: x", "upgrade", "keep-alive"} {
		if strings.Contains(reached, unwanted) {
			t.Errorf("%q reached the service: %q", unwanted, reached)
		}
	}
	id := header["X-Request-Id"]
	if len(id) != 1 || len(id[0]) < 16 || !strings.Contains(reached, "x-request-id: "+strings.ToLower(id[0])+"\r\n") {
		t.Errorf("x-request-id %q is not what reached the service: %q", id, reached)
	}
	if !strings.Contains(reached, "proxy-authorization: kept\r\n") || !strings.Contains(reached, "x-forward: kept\r\n") {
		t.Errorf("headers of others are removed: %q", reached)
	}
	for _, secret := range []string{"X-Proxy-Id", "X-Server-Info", "X-Upstream-Addr", "X-Upstream-Response-Time", "Server"} {
		if v, ok := header[secret]; ok {
			t.Errorf("unasked answer header %s: %q", secret, v)
		}
	}
}

func TestOwnAnswersCarryTheRequestID(t *testing.T) {
	table := testTable(testBase(t), "a.example.com/")
	serve(t, table)
	for host, want := range map[string]int{"unknown.example.com": 503, "a..b": 400} {
		status, header, body := get(t, local(table.Base.HTTPPort), host, "/")
		if status != want || len(header["X-Request-Id"]) != 1 || strings.Contains(body, "be_") {
			t.Errorf("%s: %d %v %q", host, status, header, body)
		}
	}
}

func TestInfoHeaders(t *testing.T) {
	t.Setenv("INTERLOCK_PROXY", "il-prod.1")
	table := testTable(testBase(t), "a.example.com/")
	table.Base.InfoHeaders = true
	table.Cluster = `100% %[env(HOME)] 'x' "$HOME" #\`
	serve(t, table)
	_, header, _ := get(t, local(table.Base.HTTPPort), "a.example.com", "/")
	for key, want := range map[string]string{"X-Proxy-Id": "il-prod.1", "X-Server-Info": "interlock " + table.Cluster,
		"X-Upstream-Addr": "127.0.0.1:"} {
		if got := strings.Join(header[key], "|"); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
	if took, err := strconv.ParseFloat(strings.Join(header["X-Upstream-Response-Time"], "|"), 64); err != nil || took < 0 {
		t.Errorf("response time %q", header["X-Upstream-Response-Time"])
	}
}

// TestUpgrade: a websocket passes with its Connection header rewritten, h2c
// does not.
func TestUpgrade(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go switchProtocols(c)
		}
	}()
	table := testTable(testBase(t), "a.example.com/")
	b, err := Render(table)
	if err != nil {
		t.Fatal(err)
	}
	dir := start(t, b, routing.Endpoints{b.Backends[0].ID: {{Address: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port}}})
	runtime(t, dir, "set map "+dir+"/health.map state drain") // no Connection: close on a 101
	c, err := net.Dial("tcp", local(table.Base.HTTPPort))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute))
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: a.example.com\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
	r := bufio.NewReader(c)
	head := ""
	for line := ""; line != "\r\n"; head += line {
		if line, err = r.ReadString('\n'); err != nil {
			t.Fatalf("%v after %q", err, head)
		}
	}
	if !strings.HasPrefix(head, "HTTP/1.1 101 ") || !strings.Contains(strings.ToLower(head), "connection: upgrade\r\n") {
		t.Fatalf("answer to the upgrade: %q", head)
	}
	io.WriteString(c, "ping\n")
	if line, err := r.ReadString('\n'); line != "ping\n" {
		t.Fatalf("through the tunnel: %q, %v", line, err)
	}
}

// switchProtocols answers a head with 101 and then echoes.
func switchProtocols(c net.Conn) {
	defer c.Close()
	r := bufio.NewReader(c)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		if line == "\r\n" {
			break
		}
	}
	io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
	io.Copy(c, r)
}

func TestHealthPort(t *testing.T) {
	table := testTable(testBase(t), "a.example.com/")
	dir := serve(t, table)
	for state, want := range map[string]int{"ready": 200, "not-ready": 503, "drain": 503} {
		runtime(t, dir, "set map "+dir+"/health.map state "+state)
		if status, _, _ := get(t, local(table.Base.HealthPort), "x", "/"); status != want {
			t.Errorf("%s: %d, want %d", state, status, want)
		}
		if status, _, _ := get(t, local(table.Base.HTTPPort), "a.example.com", "/"); status != 200 {
			t.Errorf("%s: the service answers %d", state, status)
		}
	}
}

// TestLameDuck: kept-alive connections are closed with the next answer.
func TestLameDuck(t *testing.T) {
	table := testTable(testBase(t), "a.example.com/")
	dir := serve(t, table)
	c, err := net.Dial("tcp", local(table.Base.HTTPPort))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute))
	r := bufio.NewReader(c)
	for _, state := range []string{"ready", "drain"} {
		runtime(t, dir, "set map "+dir+"/health.map state "+state)
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: a.example.com\r\n\r\n")
		if res, _ := response(t, r); res.StatusCode != 200 || res.Close != (state == "drain") {
			t.Errorf("%s: %d, close %t", state, res.StatusCode, res.Close)
		}
	}
	if _, err := r.ReadByte(); err != io.EOF {
		t.Errorf("the drained connection is open: %v", err)
	}
}

// TestShare: a service with hanging requests is refused above its share, the
// refused connections are closed, and another service is not touched (I13).
func TestShare(t *testing.T) {
	hang, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer hang.Close()
	table := testTable(testBase(t), "fast.example.com/", "slow.example.com/")
	table.Base.MaxConnections, table.Base.MaxShare = 20, 25
	b, err := Render(table)
	if err != nil {
		t.Fatal(err)
	}
	start(t, b, routing.Endpoints{
		table.Backends[0].ID: {origin(t, "fast")},
		table.Backends[1].ID: {{Address: "127.0.0.1", Port: hang.Addr().(*net.TCPAddr).Port}},
	})
	const clients = 60
	refused := make(chan bool, clients)
	for range clients {
		c, err := net.Dial("tcp", local(table.Base.HTTPPort))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		go func() {
			io.WriteString(c, "GET / HTTP/1.1\r\nHost: slow.example.com\r\n\r\n")
			answer, err := io.ReadAll(c)
			refused <- err == nil && strings.HasPrefix(string(answer), "HTTP/1.1 503 ") && strings.Contains(string(answer), "share")
		}()
	}
	for range clients - 5 {
		if !<-refused {
			t.Fatal("a connection above the share was not answered with 503 and closed")
		}
	}
	if status, _, _ := get(t, local(table.Base.HTTPPort), "fast.example.com", "/"); status != 200 {
		t.Errorf("the other service answers %d", status)
	}
}

func TestProxyProtocol(t *testing.T) {
	for trusted, want := range map[string]string{"127.0.0.0/8": "x-real-ip: 9.8.7.6\r\n", "10.0.0.0/8": ""} {
		table := testTable(testBase(t), "a.example.com/")
		table.Base.ProxyProtocol, table.Base.TrustedProxies = true, []string{"192.0.2.1", "2001:db8::/32", trusted}
		serve(t, table)
		res, body := raw(t, local(table.Base.HTTPPort), "PROXY TCP4 9.8.7.6 127.0.0.1 1234 80\r\nGET / HTTP/1.1\r\nHost: a.example.com\r\n\r\n")
		if want == "" && res.StatusCode != 400 || !strings.Contains(strings.ToLower(body), want) {
			t.Errorf("trusted %s: %d %q", trusted, res.StatusCode, body)
		}
		if want == "" {
			if _, _, reached := get(t, local(table.Base.HTTPPort), "a.example.com", "/"); !strings.Contains(reached, "x-real-ip: 127.0.0.1\r\n") {
				t.Errorf("without a PROXY header from a stranger: %q", reached)
			}
		}
	}
}

// TestServersAtRunTime: what is written in server lines is accepted by "add
// server", for every algorithm and with passive health.
func TestServersAtRunTime(t *testing.T) {
	table := testTable(testBase(t), "a.example.com/", "b.example.com/", "c.example.com/x!")
	table.Backends[0].Algorithm, table.Backends[0].MaxFails, table.Backends[0].FailTimeout = routing.IPHash, 3, 10_000
	table.Backends[1].Algorithm, table.Backends[1].MaxFails = routing.LeastConn, 1
	table.Backends[2].Algorithm, table.Backends[2].MaxConnections, table.Backends[2].HealthInterval = routing.Random, 10, 700
	table.Backends[2].HealthPath, table.Backends[2].HealthTimeout = "/healthz", 300
	table.Backends[2].StickyCookie = "sid"
	b, err := Render(table)
	if err != nil {
		t.Fatal(err)
	}
	dir := start(t, b, nil)
	for i, be := range b.Backends {
		host, path := table.Routes[i].Host, strings.TrimSuffix(table.Routes[i].Path, "/")
		if status, _, _ := get(t, local(table.Base.HTTPPort), host, path+"/"); status != 503 {
			t.Errorf("%s without endpoints: %d", host, status)
		}
		e := origin(t, be.ID)
		for _, command := range []string{fmt.Sprintf("add server %s/s1 127.0.0.1:%d %s", be.Sections[0], e.Port, be.Server),
			fmt.Sprintf("enable health %s/s1", be.Sections[0]), fmt.Sprintf("enable server %s/s1", be.Sections[0])} {
			if answer := runtime(t, dir, command); answer != "" && answer != "New server registered." {
				t.Errorf("%s: %s", command, answer)
			}
		}
		if status, _, _ := get(t, local(table.Base.HTTPPort), host, path+"/"); status != 200 {
			t.Errorf("%s with an endpoint: %d", host, status)
		}
	}
}

// TestPoolAndRetry: a pool spreads over all members, and an endpoint that
// refuses connections costs nobody a request.
func TestPoolAndRetry(t *testing.T) {
	table := testTable(testBase(t), "a.example.com/", "b.example.com/")
	one, two := table.Backends[0].ID, table.Backends[1].ID
	table.Routes[0].Backends = []string{one, two}
	b, err := Render(table)
	if err != nil {
		t.Fatal(err)
	}
	start(t, b, routing.Endpoints{one: {origin(t, one), {Address: "127.0.0.1", Port: freePort(t)}}, two: {origin(t, two)}})
	seen := map[string]int{}
	for range 30 {
		status, _, body := get(t, local(table.Base.HTTPPort), "a.example.com", "/")
		name, _, _ := strings.Cut(body, "\n")
		seen[name]++
		if status != 200 {
			t.Fatalf("status %d", status)
		}
	}
	if seen[one] == 0 || seen[two] == 0 {
		t.Errorf("requests by backend: %v", seen)
	}
}

// TestPublicPortShowsNothing: statistics and the like answer as any other path.
func TestPublicPortShowsNothing(t *testing.T) {
	table := testTable(testBase(t))
	serve(t, table)
	for _, path := range []string{"/haproxy?stats", "/stats", "/metrics", "/;csv"} {
		if status, _, _ := get(t, local(table.Base.HTTPPort), "x", path); status != 503 {
			t.Errorf("%s: %d", path, status)
		}
	}
}

// TestHTTP2PrefaceIsRefused: clear-text HTTP/2 would be a second front door.
func TestHTTP2PrefaceIsRefused(t *testing.T) {
	table := testTable(testBase(t), "a.example.com/")
	serve(t, table)
	if res, _ := raw(t, local(table.Base.HTTPPort), "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"); res.StatusCode != 400 {
		t.Errorf("status %d", res.StatusCode)
	}
}
