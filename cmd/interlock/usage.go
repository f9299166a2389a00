package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// usageWidth is how wide every verb's help is at most, in columns.
const usageWidth = 80

// writeUsage prints what follows the description in every verb's help.
func writeUsage(cmd *cobra.Command) error {
	w := cmd.OutOrStderr()
	fmt.Fprint(w, "Usage:\n")
	if cmd.Runnable() && !cmd.HasAvailableSubCommands() {
		fmt.Fprintln(w, wrapped(cmd.UseLine(), "  ", "      "))
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

// wrapped is text in lines of at most usageWidth columns, where its words
// allow, with first before the first line and rest before the others.
func wrapped(text, first, rest string) string {
	var out strings.Builder
	column := 0
	for i, word := range strings.Fields(text) {
		width := utf8.RuneCountInString(word)
		switch {
		case i == 0:
			out.WriteString(first)
			column = len(first)
		case column+1+width > usageWidth:
			out.WriteString("\n" + rest)
			column = len(rest)
		default:
			out.WriteByte(' ')
			column++
		}
		out.WriteString(word)
		column += width
	}
	return out.String()
}
