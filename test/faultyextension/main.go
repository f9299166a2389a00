// Faultyextension is an extension with one fault, for the story in which the
// engine refuses a bundle that the compiler accepted: for a backend whose
// service's name contains "poison" it writes a directive into that backend's
// sections which no HAProxy knows. It takes the place of "interlock extension"
// and understands the same arguments. No image of the product holds it.
package main

import (
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"interlock/bundle"
	"interlock/extension"
	"interlock/extension/haproxy"
	"interlock/internal/identity"
	"interlock/routing"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	args := os.Args[1:]
	if len(args) > 0 && args[0] == "extension" {
		args = args[1:]
	}
	if len(args) == 2 && args[0] == "render" {
		os.Exit(extension.RunChild(ctx, renderers(), args[1], os.Stdin, os.Stdout, os.Stderr))
	}
	if err := serve(ctx, args, slog.New(slog.NewJSONHandler(os.Stderr, nil))); err != nil {
		fmt.Fprintln(os.Stderr, "faultyextension:", err)
		os.Exit(1)
	}
}

func serve(ctx context.Context, args []string, log *slog.Logger) error {
	flags := flag.NewFlagSet("faultyextension", flag.ContinueOnError)
	listen := flags.String("listen", ":7400", "address to listen on")
	identityPath := flags.String("identity", "/run/secrets/interlock-identity", "file with the extension's identity")
	if err := flags.Parse(args); err != nil {
		return err
	}
	config, err := onlyCore(*identityPath)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	log.Warn("this extension has a fault on purpose", "address", l.Addr().String())
	child := extension.NewChild(renderers().Describe(), extension.Limits{}, self, "render")
	return extension.Serve(ctx, l, config, child, log)
}

func onlyCore(identityPath string) (*tls.Config, error) {
	data, err := os.ReadFile(identityPath)
	if err != nil {
		return nil, err
	}
	id, err := identity.Parse(data)
	if err != nil {
		return nil, err
	}
	config := id.ServerTLS()
	config.VerifyConnection = func(state tls.ConnectionState) error {
		uri, err := identity.PeerURI(state)
		if err == nil && uri != identity.CoreURI {
			err = fmt.Errorf("%s may not call the extension", uri)
		}
		return err
	}
	return config, nil
}

func renderers() extension.Renderer {
	return extension.Pure("interlock-faulty", "test", map[string]extension.Func{bundle.HAProxy: renderPoisoned})
}

// renderPoisoned is the HAProxy renderer with the fault.
func renderPoisoned(t routing.Table) (bundle.Bundle, error) {
	b, err := haproxy.Render(t)
	if err != nil {
		return b, err
	}
	for _, section := range poisoned(t, b) {
		poison(b.Files, section)
	}
	return b, nil
}

// poisoned are the sections of the backends that have the fault.
func poisoned(t routing.Table, b bundle.Bundle) []string {
	guilty := map[string]bool{}
	for _, be := range t.Backends {
		guilty[be.ID] = strings.Contains(be.Service, "poison")
	}
	var out []string
	for _, be := range b.Backends {
		if guilty[be.ID] {
			out = append(out, be.Sections...)
		}
	}
	return out
}

func poison(files []bundle.File, section string) {
	mark := "  # endpoints " + section + "\n"
	for i := range files {
		if files[i].Path == haproxy.MainFile {
			files[i].Data = strings.Replace(files[i].Data, mark, "  poisoned-directive on\n"+mark, 1)
		}
	}
}
