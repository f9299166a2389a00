package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"interlock/bundle"
	"interlock/extension/embedded"
	"interlock/extension/haproxy"
	"interlock/internal/compile"
	"interlock/internal/config"
	"interlock/routing"
)

func newCompileCommand() *cobra.Command {
	var in offline
	var dir string
	cmd := &cobra.Command{
		Use:   "compile --config config.toml --snapshot s.json [--out DIR]",
		Short: "Do offline what core would, on a snapshot",
		Long: `Compile a snapshot with a config.toml, as core would at its first start.

With --out it writes, for each cluster's slug, DIR/<slug>/table.json,
DIR/<slug>/endpoints.json and the rendered files in DIR/<slug>/files/, and all
problems to DIR/problems.json. Without it prints a summary.

It ends with 0 when there is no problem of severity error, 1 when there is, and
2 when it was called wrongly or an input can't be read.`,
		Example: `  interlock snapshot > s.json
  interlock compile --config config.toml --snapshot s.json --out compiled`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			file, out, err := in.compile(cmd.InOrStdin())
			if err != nil {
				return err
			}
			if dir == "" {
				writeSummary(cmd.OutOrStdout(), file, out)
			} else if err := writeCompiled(dir, file, out); err != nil {
				return err
			}
			return findings(out.Problems)
		},
	}
	in.flags(cmd)
	cmd.Flags().StringVar(&dir, "out", "", "the `directory` to write to")
	return cmd
}

// writeCompiled writes everything below dir.
func writeCompiled(dir string, file config.File, out compile.AllOutput) error {
	for _, c := range file.Clusters {
		compiled, ok := out.Clusters[c.Name]
		if !ok {
			continue
		}
		if err := writeCluster(filepath.Join(dir, c.Slug()), c.Engine, compiled); err != nil {
			return fmt.Errorf("cluster %q: %w", c.Name, err)
		}
	}
	all := out.Problems
	if all == nil {
		all = []routing.Problem{}
	}
	return writeJSONFile(filepath.Join(dir, "problems.json"), all)
}

func writeCluster(dir, engine string, out compile.Output) error {
	if err := writeJSONFile(filepath.Join(dir, "table.json"), out.Table); err != nil {
		return err
	}
	if err := writeJSONFile(filepath.Join(dir, "endpoints.json"), out.Endpoints); err != nil {
		return err
	}
	rendered, err := render(engine, out.Table)
	if err != nil {
		return err
	}
	files := filepath.Join(dir, "files")
	if err := os.RemoveAll(files); err != nil {
		return err
	}
	for _, f := range rendered.Files {
		if err := writeFile(filepath.Join(files, filepath.FromSlash(f.Path)), []byte(f.Data)); err != nil {
			return err
		}
	}
	return nil
}

func render(engine string, t routing.Table) (bundle.Bundle, error) {
	if engine == bundle.Embedded {
		return embedded.Render(t)
	}
	return haproxy.Render(t)
}

func writeJSONFile(path string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(path, append(data, '\n'))
}

func writeFile(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o644)
}

func writeSummary(w io.Writer, file config.File, out compile.AllOutput) {
	for _, c := range file.Clusters {
		compiled, ok := out.Clusters[c.Name]
		if !ok {
			fmt.Fprintf(w, "cluster %q can't be used: %s\n", c.Name, printable(c.Unusable))
			continue
		}
		fmt.Fprintf(w, "cluster %q: %d routes, %d backends\n", c.Name, len(compiled.Table.Routes), len(compiled.Table.Backends))
		writeRoutes(w, compiled)
	}
	for _, p := range out.Problems {
		writeProblem(w, p)
	}
}

func writeRoutes(w io.Writer, out compile.Output) {
	services := map[string]routing.Backend{}
	for _, b := range out.Table.Backends {
		services[b.ID] = b
	}
	for _, r := range out.Table.Routes {
		for _, id := range r.Backends {
			b := services[id]
			fmt.Fprintf(w, "  %s%s -> %s:%d over %s, %d endpoints\n", r.Host, r.Path, printable(b.Service), b.Port, printable(b.Network), len(out.Endpoints[id]))
		}
	}
}
