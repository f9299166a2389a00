package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"interlock/internal/cli"
)

// usageWidth is how wide every verb's help is at most, in columns.
const usageWidth = 80

// writeUsage prints what follows the description in every verb's help.
func writeUsage(cmd *cobra.Command) error {
	w := cmd.OutOrStderr()
	fmt.Fprint(w, "Usage:\n")
	if cmd.Runnable() && !cmd.HasAvailableSubCommands() {
		fmt.Fprint(w, cli.Wrap(cmd.UseLine(), "  ", "      ", usageWidth))
	}
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(w, "  %s VERB\n\nVerbs:\n", cmd.CommandPath())
		writeVerbs(w, cmd.Commands())
	}
	if cmd.HasExample() {
		fmt.Fprintf(w, "\nExamples:\n%s\n", cmd.Example)
	}
	if cmd.HasAvailableLocalFlags() {
		fmt.Fprintf(w, "\nFlags:\n%s", cmd.LocalFlags().FlagUsagesWrapped(usageWidth))
	}
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(w, "\n\"%s VERB --help\" says more.\n", cmd.CommandPath())
	}
	return nil
}

func writeVerbs(w io.Writer, verbs []*cobra.Command) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, verb := range verbs {
		if verb.IsAvailableCommand() || verb.Name() == "help" {
			fmt.Fprintf(t, "  %s\t%s\n", verb.Name(), verb.Short)
		}
	}
	t.Flush()
}
