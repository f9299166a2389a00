package dev

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"interlock/routing"
)

const patience = time.Minute

// lab is a directory that is being served.
type lab struct {
	dir string
	mu  sync.Mutex
	out strings.Builder
}

func (l *lab) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.Write(p)
}

func (l *lab) printed() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.String()
}

// start serves files (by path) until the test ends.
func start(t *testing.T, files map[string]string) *lab {
	t.Helper()
	l := &lab{dir: t.TempDir()}
	for name, text := range files {
		l.write(t, name, text)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- Run(ctx, Options{
			Dir: l.dir, Interval: 10 * time.Millisecond, Out: l, Log: slog.New(slog.DiscardHandler),
			Problem: func(w io.Writer, p routing.Problem) {
				fmt.Fprintf(w, "%s:%d %s %s %s\n", filepath.Base(p.File), p.Line, p.Code, p.Service, p.Message)
			},
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		if t.Failed() {
			t.Log(l.printed())
		}
	})
	return l
}

// write replaces a file at once, as editors do.
func (l *lab) write(t *testing.T, name, text string) {
	t.Helper()
	full := filepath.Join(l.dir, name)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(full+".new", []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(full+".new", full); err != nil {
		t.Fatal(err)
	}
}

// address is where a cluster is served, once that is printed.
func (l *lab) address(t *testing.T, cluster string) string {
	t.Helper()
	line := regexp.MustCompile(regexp.QuoteMeta("cluster "+cluster) + ` at (http://\S+)`)
	await(t, "cluster "+cluster, func() bool { return line.MatchString(l.printed()) })
	return line.FindStringSubmatch(l.printed())[1]
}

func (l *lab) awaitPrinted(t *testing.T, text string) {
	t.Helper()
	await(t, text, func() bool { return strings.Contains(l.printed(), text) })
}

func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !done(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// get asks a cluster and returns status and body.
func get(t *testing.T, address, host, path string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), "GET", address+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = host
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

func awaitAnswer(t *testing.T, address, host, path, want string) {
	t.Helper()
	await(t, fmt.Sprintf("%s%s answered by %s", host, path, want), func() bool {
		status, body := get(t, address, host, path)
		return strings.HasPrefix(body, "service: "+want+"\n") || fmt.Sprint(status) == want
	})
}

// stack is a stack file of one service with these labels.
func stack(service string, labels ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "version: \"3.8\"\nservices:\n  %s:\n    image: app\n    deploy:\n      labels:\n", service)
	for _, l := range labels {
		fmt.Fprintf(&b, "        com.docker.%s\n", l)
	}
	return b.String()
}

func TestServesClustersAndFollowsChanges(t *testing.T) {
	l := start(t, map[string]string{
		"shop.yml":              stack("web", "lb.hosts: shop.test", `lb.port: "80"`),
		"blog/docker-stack.yml": stack("web", "lb.hosts: blog.test", `lb.port: "80"`, "lb.service_cluster: dev"),
	})
	standard, dev := l.address(t, "(default)"), l.address(t, "dev")
	awaitAnswer(t, standard, "shop.test", "/x", "shop_web")
	awaitAnswer(t, dev, "blog.test", "/x", "blog_web")
	awaitAnswer(t, dev, "shop.test", "/x", "503")

	l.write(t, "shop.yml", stack("web", "lb.hosts: shop.test", `lb.port: "80"`, "lb.context_root: /shop"))
	awaitAnswer(t, standard, "shop.test", "/shop/x", "shop_web")
	awaitAnswer(t, standard, "shop.test", "/x", "503")

	l.write(t, "new.yml", stack("api", "lb.hosts: api.test", `lb.port: "80"`))
	awaitAnswer(t, standard, "api.test", "/", "new_api")
	if err := os.Remove(filepath.Join(l.dir, "new.yml")); err != nil {
		t.Fatal(err)
	}
	awaitAnswer(t, standard, "api.test", "/", "503")
}

func TestMistakesKeepWhatServed(t *testing.T) {
	good := stack("web", "lb.hosts: shop.test", `lb.port: "80"`)
	l := start(t, map[string]string{"shop.yml": good, "other.yml": stack("web", "lb.hosts: other.test", `lb.port: "80"`)})
	address := l.address(t, "(default)")
	awaitAnswer(t, address, "shop.test", "/", "shop_web")
	for name, broken := range map[string]struct{ text, code string }{
		"a label":      {stack("web", "lb.hosts: shop.test", "lb.port: eighty"), "shop.yml:8 label-port shop_web"},
		"no YAML":      {"services:\n\tweb: {", "shop.yml:2 stackfile-syntax"},
		"not a number": {stack("web", "lb.hosts: shop.test", "lb.port: true"), "stackfile-boolean-label"},
	} {
		l.write(t, "shop.yml", broken.text)
		l.awaitPrinted(t, broken.code)
		if _, body := get(t, address, "shop.test", "/"); !strings.HasPrefix(body, "service: shop_web\n") {
			t.Errorf("%s: the route was lost: %s", name, body)
		}
		if _, body := get(t, address, "other.test", "/"); !strings.HasPrefix(body, "service: other_web\n") {
			t.Errorf("%s: another stack's route was lost: %s", name, body)
		}
		seen := strings.Count(l.printed(), "solved: ")
		l.write(t, "shop.yml", good)
		await(t, "the mistake solved", func() bool { return strings.Count(l.printed(), "solved: ") > seen })
	}
}

func TestUpstreamLabel(t *testing.T) {
	app := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "service: mine\n") })}
	ln := listen(t)
	go func() { _ = app.Serve(ln) }()
	t.Cleanup(func() { _ = app.Close() })
	l := start(t, map[string]string{
		"shop.yml": stack("web", "lb.hosts: shop.test", `lb.port: "80"`, "interlock.dev.upstream: "+ln.Addr().String()),
		"bad.yml":  stack("web", "lb.hosts: bad.test", `lb.port: "80"`, "interlock.dev.upstream: my-laptop"),
	})
	address := l.address(t, "(default)")
	awaitAnswer(t, address, "shop.test", "/", "mine")
	awaitAnswer(t, address, "bad.test", "/", "503")
	l.awaitPrinted(t, "bad.yml:9 dev-upstream bad_web")
}

const policyFile = `
[Extensions.dev]
ServiceCluster = "dev"
Collections = ["/dev"]
Networks = ["front"]
[Extensions.prod]
ServiceCluster = "prod"
PublishedPort = 8081
Collections = ["/prod"]
Networks = ["front"]
`

func withNetwork(text string) string {
	return strings.Replace(text, "    deploy:", "    networks: [front]\n    deploy:", 1) + "networks:\n  front: {external: true}\n"
}

func TestPolicyOfConfig(t *testing.T) {
	l := start(t, map[string]string{
		"config.toml": policyFile,
		"shop.yml":    withNetwork(stack("web", "lb.hosts: shop.test", `lb.port: "80"`, "ucp.access.label: /prod")),
		"evil.yml":    withNetwork(stack("web", "lb.hosts: evil.test", `lb.port: "80"`, "ucp.access.label: /dev", "lb.service_cluster: prod")),
	})
	dev, prod := l.address(t, "dev"), l.address(t, "prod")
	awaitAnswer(t, prod, "shop.test", "/", "shop_web")
	l.awaitPrinted(t, "evil_web")
	awaitAnswer(t, prod, "evil.test", "/", "503")
	awaitAnswer(t, dev, "evil.test", "/", "503")

	l.write(t, "config.toml", "[Extensions\n")
	l.awaitPrinted(t, "config-syntax")
	awaitAnswer(t, prod, "shop.test", "/", "shop_web")
}

func TestDirectoryMissing(t *testing.T) {
	err := Run(t.Context(), Options{Dir: filepath.Join(t.TempDir(), "none"), Out: io.Discard, Log: slog.New(slog.DiscardHandler)})
	if err == nil {
		t.Error("Run took a directory that does not exist")
	}
}
