package api

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"interlock/routing"
)

// Counter is something that core counts, for one cluster or ("") for all.
type Counter struct {
	Name, Help, Cluster string
	Value               uint64
}

// metrics is the text format of Prometheus, version 0.0.4.
func metrics(s Status, counters []Counter) []byte {
	var m metricsText
	m.gauge("interlock_snapshot_age_seconds", "Age of what is seen of the Swarm.", "", float64(s.SnapshotAge)/1000)
	for _, g := range gauges {
		for _, c := range s.Clusters {
			m.gauge("interlock_cluster_"+g.name, g.help, c.Name, g.value(c))
		}
	}
	for _, severity := range []routing.Severity{routing.Error, routing.Warning, routing.Info} {
		for _, c := range s.Clusters {
			m.head("interlock_cluster_problems", "Problems found, by severity.", "gauge")
			fmt.Fprintf(&m.buf, "interlock_cluster_problems{cluster=%s,severity=%s} %d\n", quote(c.Name), quote(string(severity)), c.Problems[severity])
		}
	}
	slices.SortStableFunc(counters, func(a, b Counter) int { return strings.Compare(a.Name, b.Name) })
	for _, c := range counters {
		m.head(c.Name, c.Help, "counter")
		fmt.Fprintf(&m.buf, "%s{cluster=%s} %d\n", c.Name, quote(c.Cluster), c.Value)
	}
	return m.buf.Bytes()
}

var gauges = []struct {
	name, help string
	value      func(Cluster) float64
}{
	{"ready", "1 when every running proxy acknowledged the cluster's generation.", func(c Cluster) float64 { return truth(c.State == Ready) }},
	{"frozen", "1 when the cluster's structure stands still.", func(c Cluster) float64 { return truth(c.State == Frozen) }},
	{"epoch", "Epoch of the confirmed generation.", func(c Cluster) float64 { return float64(c.Generation.Epoch) }},
	{"generation", "Number of the confirmed generation.", func(c Cluster) float64 { return float64(c.Generation.Generation) }},
	{"proxies", "Proxies that run or are connected.", func(c Cluster) float64 { return float64(len(c.Proxies)) }},
	{"sessions", "Agents connected.", func(c Cluster) float64 { return count(c, func(p Proxy) bool { return p.Connected }) }},
	{"proxies_synced", "Proxies that acknowledged the cluster's generation.", func(c Cluster) float64 { return count(c, func(p Proxy) bool { return p.Synced }) }},
	{"routes", "Routes that should be served.", func(c Cluster) float64 { return float64(c.Routes) }},
	{"endpoints", "Endpoints behind them.", func(c Cluster) float64 { return float64(c.Endpoints) }},
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func count(c Cluster, is func(Proxy) bool) (n float64) {
	for _, p := range c.Proxies {
		n += truth(is(p))
	}
	return n
}

// metricsText writes each metric's head once, before its first sample.
type metricsText struct {
	buf  bytes.Buffer
	last string
}

func (m *metricsText) head(name, help, kind string) {
	if m.last != name {
		fmt.Fprintf(&m.buf, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
		m.last = name
	}
}

func (m *metricsText) gauge(name, help, cluster string, v float64) {
	m.head(name, help, "gauge")
	if strings.HasPrefix(name, "interlock_cluster_") {
		fmt.Fprintf(&m.buf, "%s{cluster=%s} %g\n", name, quote(cluster), v)
		return
	}
	fmt.Fprintf(&m.buf, "%s %g\n", name, v)
}

// quote escapes a label's value as the text format wants it.
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s) + `"`
}
