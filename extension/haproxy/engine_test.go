package haproxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"interlock/bundle"
	"interlock/routing"
)

// binary is the real engine; without it these tests fail, they are not skipped.
func binary(t testing.TB) string {
	t.Helper()
	path := os.Getenv("INTERLOCK_HAPROXY")
	if path == "" {
		var err error
		if path, err = filepath.Abs("../../.run/haproxy"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("no HAProxy to test with: %v (run: make tools)", err)
	}
	return path
}

// stage writes b where HAProxy can read it, as an agent would, with endpoints
// by backend id, and returns the main file. Listeners are on loopback.
func stage(t testing.TB, b bundle.Bundle, eps routing.Endpoints) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "il") // short: socket paths are bounded
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	write(t, filepath.Join(dir, "health.map"), "state ready\n")
	for _, f := range b.Files {
		data := f.Data
		if f.Path == MainFile {
			data = withServers(data, b, eps)
			data = strings.NewReplacer("@DIR@", dir, "@RUN@", dir, "@REVISION@", "r1", "  bind :", "  bind 127.0.0.1:").Replace(data)
		}
		write(t, filepath.Join(dir, f.Path), data)
	}
	return filepath.Join(dir, MainFile)
}

func withServers(data string, b bundle.Bundle, eps routing.Endpoints) string {
	for _, be := range b.Backends {
		for _, section := range be.Sections {
			mark := "  # endpoints " + section + "\n"
			var lines strings.Builder
			for i, e := range eps[be.ID] {
				fmt.Fprintf(&lines, "  server %s_%d %s:%d %s\n", be.ID, i, e.Address, e.Port, be.Server)
			}
			data = strings.Replace(data, mark, mark+lines.String(), 1)
		}
	}
	return data
}

func write(t testing.TB, path, data string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(data), 0o644); err != nil {
		t.Fatal(err)
	}
}

// check is haproxy -c: its words when it refuses, "" when it accepts in silence.
func check(t testing.TB, main string) (words string, ok bool) {
	t.Helper()
	out, err := exec.Command(binary(t), "-c", "-f", main).CombinedOutput()
	return string(out), err == nil
}

// start runs HAProxy on b until the test ends and returns the folder.
func start(t testing.TB, b bundle.Bundle, eps routing.Endpoints) string {
	t.Helper()
	main := stage(t, b, eps)
	cmd := exec.Command(binary(t), "-db", "-f", main)
	cmd.Stderr = &logWriter{t}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	for _, port := range b.Ports {
		await(t, func() bool {
			c, err := net.Dial("tcp", local(port))
			if err == nil {
				c.Close()
			}
			return err == nil
		})
	}
	await(t, func() bool {
		c, err := net.Dial("unix", filepath.Join(filepath.Dir(main), "admin.sock"))
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return filepath.Dir(main)
}

type logWriter struct{ t testing.TB }

func (w *logWriter) Write(p []byte) (int, error) { w.t.Logf("haproxy: %s", p); return len(p), nil }

// await polls until done, for at most a minute.
func await(t testing.TB, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		if time.Now().After(deadline) {
			t.Fatal("it did not happen within a minute")
		}
		<-tick.C
	}
}

func local(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// freePort asks the kernel; the port is free again when it returns.
func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// runtime sends one command to the runtime socket.
func runtime(t testing.TB, dir, command string) string {
	t.Helper()
	c, err := net.Dial("unix", filepath.Join(dir, "admin.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "%s\n", command)
	out, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// raw sends bytes as they are and reads one response.
func raw(t testing.TB, addr, request string) (*http.Response, string) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute))
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	return response(t, bufio.NewReader(c))
}

func response(t testing.TB, r *bufio.Reader) (*http.Response, string) {
	t.Helper()
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

// origin answers each request with what reached it, after its own name.
func origin(t testing.TB, name string) routing.Endpoint {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go echo(c, name)
		}
	}()
	return routing.Endpoint{Address: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port}
}

// echo answers with the raw head, so that nothing is normalised on the way.
func echo(c net.Conn, name string) {
	defer c.Close()
	r := bufio.NewReader(c)
	for {
		var head strings.Builder
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			if line == "\r\n" {
				break
			}
			head.WriteString(line)
		}
		body := name + "\n" + head.String()
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	}
}
