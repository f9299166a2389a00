package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"interlock/internal/api"
	"interlock/internal/cli"
)

// exitNotReady is status's when a cluster is not ready.
const exitNotReady = 1

func newStatusCommand() *cobra.Command {
	var host, format string
	var wait bool
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say how each cluster is: its proxies, its generation",
		Long: `Say how each cluster is. Ready means that every running proxy acknowledged the
cluster's generation.

It ends with 0 when every cluster is ready, 1 when one is not (with --wait: not
within --timeout), and 2 when it was called wrongly or core can't be reached.`,
		Example: `  interlock status
  interlock status --wait --timeout 2m
  interlock status --format json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			ctx := cmd.Context()
			if wait {
				limited, cancel := context.WithTimeout(ctx, timeout)
				defer cancel()
				ctx = limited
			}
			s, err := askStatus(ctx, host, wait)
			if err != nil {
				return err
			}
			if err := writeStatus(cmd.OutOrStdout(), s, format); err != nil {
				return err
			}
			if !s.Ready() {
				return &exitError{code: exitNotReady}
			}
			return nil
		},
	}
	hostFlag(cmd, &host)
	cmd.Flags().StringVar(&format, "format", "text", "text or json")
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until every cluster is ready")
	cmd.Flags().DurationVar(&timeout, "timeout", 5*time.Minute, "how long --wait waits")
	return cmd
}

func writeStatus(w io.Writer, s api.Status, format string) error {
	if format == "json" {
		return printJSON(w, s)
	}
	cli.WriteStatus(w, s, cli.StyleFor(w))
	return nil
}

// askStatus asks once, or until core says that all is ready or ctx ends: then
// what it said last is the answer.
func askStatus(ctx context.Context, host string, wait bool) (api.Status, error) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	var last api.Status
	var known bool
	var reason error // the last one that is not the end of ctx
	for {
		var s api.Status
		err := ask(ctx, host, "status", nil, &s)
		if err == nil {
			last, known = s, true
		} else if reason == nil || ctx.Err() == nil {
			reason = err
		}
		if !wait || err == nil && s.Ready() {
			return s, err
		}
		select {
		case <-ctx.Done():
			if known {
				return last, nil
			}
			return last, reason
		case <-ticker.C:
		}
	}
}

// ask asks core one question, through the Docker at host.
func ask(ctx context.Context, host, path string, query url.Values, into any) error {
	client, err := cli.Connect(ctx, host)
	if err != nil {
		return hinted(err)
	}
	defer client.Close()
	return hinted(client.Get(ctx, path, query, into))
}

// hinted ends a verb with the advice that an error carries.
func hinted(err error) error {
	if err == nil {
		return nil
	}
	exit := &exitError{code: exitUsage, msg: cli.Printable(err.Error())}
	var hint *cli.HintError
	if errors.As(err, &hint) {
		exit.hint = hint.Hint
	}
	return exit
}

func checkFormat(format string) error {
	if format != "text" && format != "json" {
		return &exitError{code: exitUsage, msg: fmt.Sprintf("format %q is neither text nor json", format)}
	}
	return nil
}

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
