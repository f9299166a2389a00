package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"

	"github.com/spf13/cobra"

	"interlock/bundle"
	"interlock/extension"
	"interlock/extension/embedded"
	"interlock/extension/haproxy"
	"interlock/internal/identity"
)

// identityFile is where Swarm puts the secret that says who a container is.
const identityFile = "/run/secrets/interlock-identity"

func newExtensionCommand() *cobra.Command {
	var listen, identityPath string
	cmd := &cobra.Command{
		Use:   "extension",
		Short: "Render tables into engines' configurations, for core alone",
		Long: `Render tables into engines' configurations. Each request is rendered in a
process of its own with a deadline and a memory bound. Only core may call; it
makes the service that runs this.`,
		Example: `  interlock extension --listen :7400 --identity ./extension-identity`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log := slog.New(slog.NewJSONHandler(cmd.ErrOrStderr(), nil))
			return runExtension(cmd, listen, identityPath, log)
		},
	}
	cmd.Flags().StringVar(&listen, "listen", ":7400", "address to listen on")
	cmd.Flags().StringVar(&identityPath, "identity", identityFile, "file with the extension's identity")
	cmd.AddCommand(newExtensionRenderCommand())
	return cmd
}

// newExtensionRenderCommand is the process of one render.
func newExtensionRenderCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "render ENGINE",
		Short:  "Render the table on stdin and write the bundle to stdout",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			in, out, words := cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr()
			return renderOne(cmd, args[0], in, out, words)
		},
	}
}

func renderOne(cmd *cobra.Command, engine string, in io.Reader, out, words io.Writer) error {
	if code := extension.RunChild(cmd.Context(), renderers(), engine, in, out, words); code != 0 {
		return &exitError{code: code}
	}
	return nil
}

// renderers are the engines that this binary renders for.
func renderers() extension.Renderer {
	return extension.Pure("interlock", version, map[string]extension.Func{
		bundle.HAProxy:  haproxy.Render,
		bundle.Embedded: embedded.Render,
	})
}

func runExtension(cmd *cobra.Command, listen, identityPath string, log *slog.Logger) error {
	data, err := os.ReadFile(identityPath)
	if err != nil {
		return fmt.Errorf("read identity: %w", err)
	}
	id, err := identity.Parse(data)
	if err != nil {
		return fmt.Errorf("identity in %s: %w", identityPath, err)
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find own program: %w", err)
	}
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", listen, err)
	}
	log.Info("extension listens", "address", l.Addr().String(), "version", version)
	child := extension.NewChild(renderers().Describe(), extension.Limits{}, self, "extension", "render")
	return extension.Serve(cmd.Context(), l, onlyCore(id), child, log)
}

// onlyCore lets nobody but core in: a cluster's identity is of the same
// authority, but its proxies have no business here.
func onlyCore(id identity.Identity) *tls.Config {
	config := id.ServerTLS()
	config.VerifyConnection = func(state tls.ConnectionState) error {
		uri, err := identity.PeerURI(state)
		if err == nil && uri != identity.CoreURI {
			err = fmt.Errorf("%s may not call the extension", uri)
		}
		return err
	}
	return config
}
