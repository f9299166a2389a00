package config_test

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// parts are keys of a cluster's table with values in all of TOML's shapes: ours,
// the original's without meaning, and some that nobody has.
var parts = struct{ table, config, rollout []string }{
	table: []string{
		`Order = 3`, `Networks = ["a", "b"]`, "Networks = [\n  'a', # first\n  \"b\",\n]", `ProxyReplicas = 1`,
		`Owners = { "a.example.com" = "shop*", 'b.example.com' = "x" }`, `"Stacks" = ["a"]`,
		`Image = "docker/ucp-interlock-extension:3"`, `ProxyImage = "mirantis/ucp-interlock-proxy:3"`, `ProxyImage = "mine"`,
		`Args = ["-D"]`, `ProxyArgs = ["a # b"]`, `ConfigImage = "x"`, `configservicename = ''`, `HitlessServiceUpdate = true`,
		"ProxyConfigPath = \"\"\"\n[Extensions.x]\na = 1 \\\n\"\"\"", "'ProxyConfigPath' = '''it's\n}]'''", `ContainerLabels = { a = "b" }`,
		`ContainerLabels.a = "}"`, "PlacementPreferences = [\n  [\"a\"], # ]\n]", `ProxyReplica = 2`, `Config2 = {}`, `"x y".z = 1979-05-27 07:32:00`,
		`Rolout = { Monitor = "1s", a = { b = [1, { c = "}" }] } }`,
	},
	config: []string{
		`MaxConnections = 100`, `ConnectTimeout = 5`, `User = "nginx"`, `WorkerProcesses = 2`, `GlobalOptions = ["a 1;", "b"]`,
		`HTTPOptions = ["map $a $b {", "}"]`, `SSLProtocols = "TLSv1.2"`, `PidPath = 'C:\x'`, `Usr = "\" # no comment"`, `Version = ""`,
	},
	rollout: []string{`Monitor = "3s"`, `Delay = 1`, `Monitr = [ ]`, `Parallelism = 2`},
}

// some draws lines whose keys differ.
func some(t *rapid.T, lines []string, what string) []string {
	return rapid.SliceOfNDistinct(rapid.SampledFrom(lines), 0, 6, func(line string) string {
		key, _, _ := strings.Cut(line, " =")
		key, _, _ = strings.Cut(key, ".")
		return strings.ToLower(strings.Trim(key, `"'`))
	}).Draw(t, what)
}

// TestMigrateProperty: whatever a file is made of and however it is written,
// the result can be read, is clean, and its clusters mean the same.
func TestMigrateProperty(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var b strings.Builder
		for i := range rapid.IntRange(1, 3).Draw(rt, "tables") {
			own := append([]string{fmt.Sprintf("ServiceCluster = \"c%d\"", i), fmt.Sprintf("PublishedPort = %d", 8000+i)}, some(rt, parts.table, "table")...)
			config, rollout := some(rt, parts.config, "config"), some(rt, parts.rollout, "rollout")
			write := rapid.SampledFrom([]func(*strings.Builder, int, []string, []string, []string){headings, dotted, braces}).Draw(rt, "style")
			write(&b, i, own, config, rollout)
		}
		text := b.String()
		if rapid.Bool().Draw(rt, "crlf") {
			text = strings.ReplaceAll(text, "\n", "\r\n")
		}
		text = rapid.SampledFrom([]string{"", "\ufeff", "\ufeffDebug = true\n"}).Draw(rt, "beginning") + text
		migrated(rt, []byte(text))
	})
}

func headings(b *strings.Builder, i int, own, config, rollout []string) {
	fmt.Fprintf(b, "\n# about %d\n[Extensions.t%d] # heading\n\t%s\n", i, i, strings.Join(own, " # why\n\n\t"))
	fmt.Fprintf(b, "[ Extensions . 't%d' . Config ]\n%s\n#\n[Extensions.t%d.ROLLOUT]\n%s\n", i, strings.Join(config, "\n"), i, strings.Join(rollout, "\n"))
	fmt.Fprintf(b, "[Extensions.t%d.ProxyContainerLabels]\nUser = 'x'\n[Extensions.t%d.Unknown.User]\nServiceCluster = 5\n", i, i)
}

func dotted(b *strings.Builder, i int, own, config, rollout []string) {
	fmt.Fprintf(b, "[Extensions.t%d]\n", i)
	for _, line := range own {
		fmt.Fprintln(b, line)
	}
	for _, line := range config {
		fmt.Fprintf(b, "Config.%s\n", line)
	}
	for _, line := range rollout {
		fmt.Fprintf(b, "  Rollout . %s # %s\n", line, "end")
	}
}

func braces(b *strings.Builder, i int, own, config, rollout []string) {
	if strings.Contains(b.String(), "[Extensions]") { // can't be there twice
		headings(b, i, own, config, rollout)
		return
	}
	var flat []string
	for _, line := range own {
		if !strings.Contains(line, "\n") {
			flat = append(flat, line)
		}
	}
	flat = append(flat, "Config = {"+strings.Join(config, ",")+"}", "Rollout = { "+strings.Join(rollout, " , ")+" }")
	fmt.Fprintf(b, "[Extensions]\nt%d = { %s }\n[Extensions.o%d]\nServiceCluster=\"o%d\"\nPublishedPort=%d\n", i, strings.Join(flat, ", "), i, i, 9000+i)
}
