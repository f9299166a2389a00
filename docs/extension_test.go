package docs_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"interlock/bundle"
	"interlock/extension"
	"interlock/extension/extensiontest"
	"interlock/extension/haproxy"
	"interlock/internal/identity"
	"interlock/routing"
)

// render is Interlock's renderer for HAProxy with one line of ours.
func render(t routing.Table) (bundle.Bundle, error) {
	b, err := haproxy.Render(t)
	if err != nil {
		return b, err
	}
	const frontend = "frontend il_http\n"
	for i, f := range b.Files {
		if f.Path == haproxy.MainFile {
			line := "  http-after-response set-header server example\n"
			b.Files[i].Data = strings.Replace(f.Data, frontend, frontend+line, 1)
		}
	}
	return b, nil
}

func renderers() extension.Renderer {
	return extension.Pure("example", "1.0", map[string]extension.Func{
		bundle.HAProxy: render,
	})
}

func run(ctx context.Context, args []string, log *slog.Logger) error {
	if len(args) == 2 && args[0] == "render" {
		os.Exit(extension.RunChild(ctx, renderers(), args[1],
			os.Stdin, os.Stdout, os.Stderr))
	}
	secret, err := os.ReadFile("/run/secrets/interlock-identity")
	if err != nil {
		return err
	}
	config, err := onlyCore(secret)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", ":7400")
	if err != nil {
		return err
	}
	child, err := newChild()
	if err != nil {
		return err
	}
	return extension.Serve(ctx, l, config, child, log)
}

// newChild renders in a process of this program's own for each request.
func newChild() (extension.Renderer, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	d := renderers().Describe()
	return extension.NewChild(d, extension.Limits{}, self, "render"), nil
}

// onlyCore is the identity in the secret, for which nobody but core may call.
func onlyCore(secret []byte) (*tls.Config, error) {
	pair, err := tls.X509KeyPair(secret, secret)
	if err != nil {
		return nil, err
	}
	authority := x509.NewCertPool()
	for rest := secret; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return nil, errors.New("the secret has no authority")
		}
		if block.Type == "INTERLOCK AUTHORITY CERTIFICATE" {
			cert, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, err
			}
			authority.AddCert(cert)
			break
		}
	}
	return &tls.Config{
		Certificates: []tls.Certificate{pair},
		ClientCAs:    authority,
		ClientAuth:   tls.RequireAndVerifyClientCert,
		MinVersion:   tls.VersionTLS13,
		VerifyConnection: func(s tls.ConnectionState) error {
			uris := s.PeerCertificates[0].URIs
			if len(uris) != 1 || uris[0].String() != "interlock://core" {
				return fmt.Errorf("%v may not call the extension", uris)
			}
			return nil
		},
	}, nil
}

// TestMain is also the extension's own process of one render.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "render" {
		fmt.Fprintln(os.Stderr, run(context.Background(), os.Args[1:], slog.Default()))
	}
	os.Exit(m.Run())
}

func TestConformance(t *testing.T) {
	dial := start(t, renderers())
	extensiontest.Run(t, func(t testing.TB) *extension.Client {
		return dial(t, identity.CoreURI)
	})
}

// TestChild: it renders the same in a process of its own.
func TestChild(t *testing.T) {
	child, err := newChild()
	if err != nil {
		t.Fatal(err)
	}
	table := extensiontest.Small("dev")
	got, err := start(t, child)(t, identity.CoreURI).Render(t.Context(), bundle.HAProxy, table)
	if err != nil {
		t.Fatal(err)
	}
	want, err := render(table)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(encoded(t, want), encoded(t, got)); diff != "" {
		t.Error(diff)
	}
}

// TestProxiesMayNotCall: they have an identity of the same authority.
func TestProxiesMayNotCall(t *testing.T) {
	c := start(t, renderers())(t, identity.ClusterURI("dev"))
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if d, err := c.Describe(ctx); err == nil {
		t.Errorf("a proxy is told %+v", d)
	}
}

// start serves r with the example's rule for callers. It returns how to dial as
// anybody of the same authority.
func start(t *testing.T, r extension.Renderer) func(t testing.TB, uri string) *extension.Client {
	t.Helper()
	core, err := identity.NewCore(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	secret, err := minted(t, core, identity.ExtensionURI).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	config, err := onlyCore(secret)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- extension.Serve(ctx, l, config, r, slog.New(slog.DiscardHandler)) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return func(t testing.TB, uri string) *extension.Client {
		id := core
		if uri != identity.CoreURI {
			id = minted(t, core, uri)
		}
		c, err := extension.Dial(l.Addr().String(), id.ClientTLS(identity.ExtensionURI))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
}

func minted(t testing.TB, core identity.Identity, uri string) identity.Identity {
	t.Helper()
	id, err := core.Mint(uri, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func encoded(t *testing.T, b bundle.Bundle) string {
	t.Helper()
	data, err := bundle.Encode(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestExampleAddsItsLine: once, and nothing else.
func TestExampleAddsItsLine(t *testing.T) {
	table := extensiontest.Small("dev")
	plain, err := haproxy.Render(table)
	if err != nil {
		t.Fatal(err)
	}
	ours, err := render(table)
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range ours.Files {
		added := len(f.Data) - len(plain.Files[i].Data)
		if (added != 0) != (f.Path == haproxy.MainFile) {
			t.Errorf("%s: %d bytes more", f.Path, added)
		}
	}
}

// TestExampleIsQuoted: the document shows the code of this file.
func TestExampleIsQuoted(t *testing.T) {
	source := read(t, "extension_test.go")
	quoted := 0
	for _, b := range blocks(t) {
		if b.kind != "go" {
			continue
		}
		quoted++
		if !strings.Contains(source, b.text) {
			t.Errorf("%s: it is not in extension_test.go", b.at)
		}
	}
	if quoted == 0 {
		t.Error("no document shows code")
	}
}
