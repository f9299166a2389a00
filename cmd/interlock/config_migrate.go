package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"interlock/internal/config"
)

func newConfigMigrateCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "migrate FILE",
		Short: "Make the config.toml of Interlock 2 or 3 ours",
		Long: `Migrate prints the config.toml of an original Interlock with all that has no
meaning here commented out, and the reason above it. Everything else stays as it
is: order, comments, blank lines, letters' case. The clusters mean the same as
before. What was commented out is said once for each key on standard error, and
after it what is still wrong or not served, by the lines of FILE. A file of ours
comes out as it went in. FILE is - for standard input.

An original file works without being migrated, too: what is commented out here
is ignored there.

It ends with 0 when nothing of severity error remains, 1 when something does,
and 2 when it was called wrongly or FILE can't be read as TOML.`,
		Example: `  interlock config migrate ucp-interlock.toml > config.toml
  docker config inspect --format '{{ printf "%s" .Spec.Data }}' \
      com.docker.ucp.interlock.conf-1 |
      interlock config migrate - > config.toml`,
		RunE: func(cmd *cobra.Command, files []string) error {
			if len(files) != 1 {
				return &exitError{code: exitUsage, msg: "migrate takes one file", hint: "interlock config migrate ucp-interlock.toml > config.toml"}
			}
			return runConfigMigrate(cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr(), files[0])
		},
	}
}

func runConfigMigrate(in io.Reader, out, remarks io.Writer, name string) error {
	data, err := readConfigText(in, name)
	if err != nil {
		return unreadable(err)
	}
	m := config.Migrate(data, name)
	if m.Unreadable != "" {
		return unreadable(fmt.Errorf("%s:%d: it is not valid TOML: %s", name, m.Problems[0].Line, printable(m.Unreadable)))
	}
	if _, err := out.Write(m.Text); err != nil {
		return fmt.Errorf("write the migrated file: %w", err)
	}
	for _, n := range m.Notes {
		fmt.Fprintf(remarks, "commented out: %s (%s): %s\n", printable(n.Key), inLines(n.Lines), printable(n.Reason))
	}
	for _, p := range m.Problems {
		writeProblem(remarks, p)
	}
	return findings(m.Problems)
}

// inLines is "line 3", or "lines 3, 8".
func inLines(lines []int) string {
	words := strings.Trim(strings.ReplaceAll(fmt.Sprint(lines), " ", ", "), "[]")
	if len(lines) == 1 {
		return "line " + words
	}
	return "lines " + words
}
