package docker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/moby/moby/client"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func host(t *testing.T, o Options) string {
	t.Helper()
	opts, err := o.resolve()
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(opts...)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.DaemonHost()
}

// TestHost: the Engine is found as the docker command finds it.
func TestHost(t *testing.T) {
	folder := t.TempDir()
	t.Setenv("DOCKER_CONFIG", folder)
	t.Setenv("DOCKER_HOST", "")
	t.Setenv("DOCKER_CONTEXT", "")
	if got := host(t, Options{}); got != client.DefaultDockerHost {
		t.Errorf("by default: %s", got)
	}
	sum := sha256.Sum256([]byte("production"))
	write(t, filepath.Join(folder, "contexts", "meta", hex.EncodeToString(sum[:]), "meta.json"),
		`{"Name":"production","Endpoints":{"docker":{"Host":"tcp://10.0.0.1:2375"}}}`)
	write(t, filepath.Join(folder, "config.json"), `{"currentContext":"production","auths":{}}`)
	if got := host(t, Options{}); got != "tcp://10.0.0.1:2375" {
		t.Errorf("by the current context: %s", got)
	}
	t.Setenv("DOCKER_CONTEXT", "default")
	if got := host(t, Options{}); got != client.DefaultDockerHost {
		t.Errorf("by DOCKER_CONTEXT=default: %s", got)
	}
	t.Setenv("DOCKER_CONTEXT", "nowhere")
	if _, err := (Options{}).resolve(); err == nil || !strings.Contains(err.Error(), `"nowhere"`) {
		t.Errorf("a context that does not exist: %v", err)
	}
	t.Setenv("DOCKER_HOST", "unix:///tmp/x.sock")
	if got := host(t, Options{}); got != "unix:///tmp/x.sock" {
		t.Errorf("by DOCKER_HOST: %s", got)
	}
	if got := host(t, Options{Host: "tcp://10.0.0.2:2375"}); got != "tcp://10.0.0.2:2375" {
		t.Errorf("by flag: %s", got)
	}
}

// TestLimiter: a burst of one second's calls, then the rate; a deadline is kept.
func TestLimiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(10)
		begin := time.Now()
		for range 30 {
			if err := l.wait(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(begin); took != 2*time.Second {
			t.Errorf("30 calls at 10 a second took %s", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := l.wait(ctx); err == nil {
			t.Error("no error after the deadline")
		}
		<-time.After(time.Minute)
		begin = time.Now()
		for range 10 {
			if err := l.wait(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(begin); took != 0 {
			t.Errorf("10 calls after a pause took %s", took)
		}
	})
}
