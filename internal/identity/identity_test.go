package identity_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"interlock/internal/identity"
)

func mint(t *testing.T, by identity.Identity, uri string) identity.Identity {
	t.Helper()
	id, err := by.Mint(uri, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func newCore(t *testing.T) identity.Identity {
	t.Helper()
	core, err := identity.NewCore(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return core
}

// TestMarshal: what Parse reads is what Marshal wrote, and only core's identity
// holds private keys beyond its own.
func TestMarshal(t *testing.T) {
	core := newCore(t)
	for _, id := range []identity.Identity{core, mint(t, core, identity.ClusterURI("dev"))} {
		data, err := id.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		again, err := identity.Parse(data)
		if err != nil {
			t.Fatal(err)
		}
		data2, _ := again.Marshal()
		if !bytes.Equal(data, data2) {
			t.Errorf("%s: Parse(Marshal) differs", id.URI())
		}
		isCore := id.URI() == identity.CoreURI
		if got := bytes.Contains(data, []byte("AUTHORITY PRIVATE")); got != isCore {
			t.Errorf("%s: holds the authority's key: %v", id.URI(), got)
		}
		if got := again.SigningKey() != nil; got != isCore {
			t.Errorf("%s: holds the signing key: %v", id.URI(), got)
		}
		if !again.VerifyKey().Equal(core.VerifyKey()) {
			t.Errorf("%s: another bundle key", id.URI())
		}
	}
}

func TestMintNeedsAuthority(t *testing.T) {
	core := newCore(t)
	dev := mint(t, core, identity.ClusterURI("dev"))
	if _, err := dev.Mint(identity.ClusterURI("prod"), time.Now()); !errors.Is(err, identity.ErrNoAuthority) {
		t.Errorf("a cluster's identity minted another: %v", err)
	}
	for _, uri := range []string{"", "interlock://", "interlock://cluster/", "interlock://cluster/a/b", "interlock://cluster/A", "https://core"} {
		if _, err := core.Mint(uri, time.Now()); err == nil {
			t.Errorf("minted %q", uri)
		}
	}
}

func TestParseRefusesMixedParts(t *testing.T) {
	core, other := newCore(t), newCore(t)
	a, _ := mint(t, core, identity.ClusterURI("dev")).Marshal()
	b, _ := mint(t, other, identity.ClusterURI("dev")).Marshal()
	blocksA, blocksB := blocks(a), blocks(b)
	for i := range blocksA {
		mixed := append([]string(nil), blocksA...)
		mixed[i] = blocksB[i]
		_, err := identity.Parse([]byte(strings.Join(mixed, "")))
		// The bundle's public key is bound to nothing else; all other parts are.
		if (err != nil) == strings.Contains(mixed[i], "BUNDLE PUBLIC") {
			t.Errorf("block %d of another identity: %v", i, err)
		}
		missing := append(append([]string(nil), blocksA[:i]...), blocksA[i+1:]...)
		if _, err := identity.Parse([]byte(strings.Join(missing, ""))); err == nil {
			t.Errorf("parsed without block %d", i)
		}
	}
}

func blocks(data []byte) []string {
	parts := strings.SplitAfter(string(data), "-----\n")
	var out []string
	for i := 0; i+1 < len(parts); i += 2 {
		out = append(out, parts[i]+parts[i+1])
	}
	return out
}

// TestPeers: who may talk to whom.
func TestPeers(t *testing.T) {
	core, stranger := newCore(t), newCore(t)
	dev, prod := mint(t, core, identity.ClusterURI("dev")), mint(t, core, identity.ClusterURI("prod"))
	expired, err := core.Mint(identity.ClusterURI("dev"), time.Now().Add(-2*identity.Lifetime))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name           string
		server, client identity.Identity
		want           string
		ok             bool
	}{
		{"agent to core", core, dev, identity.CoreURI, true},
		{"agent to another agent that plays core", prod, dev, identity.CoreURI, false},
		{"agent of another authority", core, mint(t, stranger, identity.ClusterURI("dev")), identity.CoreURI, false},
		{"core of another authority", stranger, dev, identity.CoreURI, false},
		{"expired agent", core, expired, identity.CoreURI, false},
		{"expired server", expired, core, identity.ClusterURI("dev"), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			uri, err := handshake(t, tt.server, tt.client.ClientTLS(tt.want))
			if (err == nil) != tt.ok {
				t.Fatalf("handshake: %v", err)
			}
			if tt.ok && uri != tt.client.URI() {
				t.Errorf("server sees %q, want %q", uri, tt.client.URI())
			}
		})
	}
	t.Run("no client certificate", func(t *testing.T) {
		if _, err := handshake(t, core, &tls.Config{InsecureSkipVerify: true}); err == nil {
			t.Error("accepted")
		}
	})
}

// handshake returns the client's name as the server sees it.
func handshake(t *testing.T, server identity.Identity, client *tls.Config) (string, error) {
	t.Helper()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	clientErr := make(chan error, 1)
	go func() {
		conn := tls.Client(b, client)
		err := conn.Handshake()
		if err == nil {
			_, err = conn.Read(make([]byte, 1))
		}
		b.Close()
		clientErr <- err
	}()
	conn := tls.Server(a, server.ServerTLS())
	if err := conn.Handshake(); err != nil {
		a.Close()
		<-clientErr
		return "", err
	}
	uri, err := identity.PeerURI(conn.ConnectionState())
	if _, werr := conn.Write([]byte("x")); err == nil {
		err = werr
	}
	return uri, errors.Join(err, <-clientErr)
}

func TestClusterOf(t *testing.T) {
	if slug, ok := identity.ClusterOf(identity.ClusterURI("dev-1")); slug != "dev-1" || !ok {
		t.Errorf("got %q, %v", slug, ok)
	}
	for _, uri := range []string{identity.CoreURI, "interlock://cluster/", "interlock://cluster/..", "http://cluster/dev"} {
		if slug, ok := identity.ClusterOf(uri); ok {
			t.Errorf("%q: %q", uri, slug)
		}
	}
}

func FuzzParse(f *testing.F) {
	core, _ := identity.NewCore(time.Now())
	data, _ := core.Marshal()
	f.Add(data)
	f.Add([]byte("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		id, err := identity.Parse(data)
		if err == nil && id.URI() == "" {
			t.Error("parsed an identity without a name")
		}
	})
}
