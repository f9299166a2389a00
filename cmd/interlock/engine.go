package main

import (
	"context"
	"errors"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"interlock/internal/engine/embedded"
	"interlock/internal/runfolder"
)

// newEngineCommand is for the supervisor. SIGUSR1 closes the listeners and lets
// requests finish, as HAProxy takes it; SIGTERM ends all at once.
func newEngineCommand() *cobra.Command {
	var run, proxy string
	cmd := &cobra.Command{
		Use:    "engine",
		Short:  "The embedded engine of a proxy; the supervisor starts it",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !filepath.IsAbs(run) {
				return &exitError{code: exitUsage, msg: run + " is not an absolute path"}
			}
			return runEngine(cmd.Context(), runfolder.Folder(run), proxy)
		},
	}
	cmd.Flags().StringVar(&run, "run", "/run/interlock", "run folder, on memory")
	cmd.Flags().StringVar(&proxy, "proxy", "", "the proxy's name in answers that ask for it")
	return cmd
}

func runEngine(ctx context.Context, folder runfolder.Folder, proxy string) error {
	serving, stop := signal.NotifyContext(context.WithoutCancel(ctx), syscall.SIGUSR1)
	defer stop()
	ended := make(chan error, 1)
	go func() {
		ended <- embedded.Serve(serving, folder, embedded.Options{ProxyID: proxy, Log: proxyLog("engine")})
	}()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return errors.New("the engine was ended before its requests were")
	}
}
