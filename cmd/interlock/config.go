package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"interlock/internal/stackfile"
)

func newConfigCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Write, check and convert the operator's config.toml",
		Long: `Config has what an operator needs before there is a Swarm with Interlock on it:
a config.toml to begin with, a judgement on one, and one of Interlock 2 or 3
(as in Docker Enterprise and MKE) made ours. Nothing is asked of Docker.`,
		Example: `  interlock config sample > config.toml
  interlock config check config.toml
  interlock config migrate ucp-interlock.toml > config.toml`,
		RunE: func(cmd *cobra.Command, words []string) error {
			if len(words) == 0 {
				return cmd.Help()
			}
			return &exitError{code: exitUsage, msg: fmt.Sprintf("interlock config has no verb %q", words[0]), hint: "write check, migrate or sample"}
		},
	}
	cmd.AddCommand(newConfigCheckCommand(), newConfigMigrateCommand(), newConfigSampleCommand())
	return cmd
}

// readConfigText reads a config.toml, or standard input for "-", as far as it
// may be one.
func readConfigText(in io.Reader, path string) ([]byte, error) {
	if path != stackfile.Stdin {
		return readBounded(path)
	}
	data, err := io.ReadAll(io.LimitReader(in, configMax+1))
	if err == nil && len(data) > configMax {
		err = fmt.Errorf("standard input has more than %d bytes", configMax)
	}
	return data, err
}
