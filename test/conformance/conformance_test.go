// Package conformance runs the conformance suites on the programs as they are
// shipped.
package conformance

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"interlock/bundle"
	"interlock/extension"
	"interlock/extension/extensiontest"
	"interlock/internal/identity"
)

// party is a running extension and the authority it belongs to.
type party struct {
	core    identity.Identity
	address string
}

// startExtension builds package pkg and runs it with args until the test ends.
func startExtension(t *testing.T, pkg string, args ...string) party {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "program")
	if out, err := exec.Command("go", "build", "-o", program, pkg).CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", pkg, err, out)
	}
	core, err := identity.NewCore(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	secret := filepath.Join(dir, "identity")
	if err := os.WriteFile(secret, marshal(t, core, identity.ExtensionURI), 0o400); err != nil {
		t.Fatal(err)
	}
	p := party{core: core, address: freeAddress(t)}
	cmd := exec.Command(program, append(args, "--listen", p.address, "--identity", secret)...)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, cmd) })
	return p
}

// stop asks the program to end, as Swarm does, and expects that it does so well.
func stop(t *testing.T, cmd *exec.Cmd) {
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the extension ended with %v", err)
	}
}

func marshal(t *testing.T, core identity.Identity, uri string) []byte {
	t.Helper()
	id, err := core.Mint(uri, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	data, err := id.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// client dials as id once somebody listens.
func (p party) client(t testing.TB, id identity.Identity) *extension.Client {
	t.Helper()
	deadline, tick := time.Now().Add(time.Minute), time.NewTicker(20*time.Millisecond)
	defer tick.Stop()
	for {
		c, err := net.Dial("tcp", p.address)
		if err == nil {
			c.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("nobody listens on %s: %v", p.address, err)
		}
		<-tick.C
	}
	client, err := extension.Dial(p.address, id.ClientTLS(identity.ExtensionURI))
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func TestExtension(t *testing.T) {
	p := startExtension(t, "interlock/cmd/interlock", "extension")
	t.Run("suite", func(t *testing.T) {
		extensiontest.Run(t, func(t testing.TB) *extension.Client { return p.client(t, p.core) })
	})
	t.Run("only core may call", func(t *testing.T) { onlyCore(t, p) })
}

func TestFaultyExtension(t *testing.T) {
	p := startExtension(t, "interlock/test/faultyextension", "extension")
	extensiontest.Run(t, func(t testing.TB) *extension.Client { return p.client(t, p.core) })
}

// onlyCore: others of the same authority and another authority's core are
// turned away.
func onlyCore(t *testing.T, p party) {
	now := time.Now()
	cluster, err := p.core.Mint(identity.ClusterURI("dev"), now)
	if err != nil {
		t.Fatal(err)
	}
	sibling, err := p.core.Mint(identity.ExtensionURI, now)
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := identity.NewCore(now)
	if err != nil {
		t.Fatal(err)
	}
	for name, id := range map[string]identity.Identity{"a cluster": cluster, "an extension": sibling, "a stranger": stranger} {
		c := p.client(t, id)
		if _, err := c.Render(t.Context(), bundle.HAProxy, extensiontest.Small("dev")); err == nil {
			t.Errorf("%s may call", name)
		}
		c.Close()
	}
}
