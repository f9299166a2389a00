package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"
)

// newHealthcheckCommand is the image's HEALTHCHECK: it asks the engine what the
// front load balancer asks, and nobody else.
func newHealthcheckCommand() *cobra.Command {
	var port string
	cmd := &cobra.Command{
		Use:   "healthcheck",
		Short: "Ask this proxy's health port; exit 0 when it is ready",
		Long: `Ask the health port of the proxy in this container, as the front load balancer
does. It is the HEALTHCHECK of the proxies' image and does not depend on core.

It ends with 0 when the proxy is ready: it serves a confirmed configuration and
is not being stopped; with 1 when it is not; with 2 when it was called wrongly.`,
		Example: `  interlock healthcheck
  interlock healthcheck --port 8404`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := askHealth(cmd.Context(), "http://127.0.0.1:"+port+"/"); err != nil {
				return &exitError{code: 1, msg: err.Error()}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&port, "port", environment("INTERLOCK_HEALTH_PORT", "8404"), "the health port")
	return cmd
}

func askHealth(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("the health port does not answer: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the health port answers %s", resp.Status)
	}
	return nil
}
