package haproxy

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"interlock/bundle"
	"interlock/routing"
)

// section is one backend section of haproxy.cfg. Routes that differ in nothing
// which a section says share one: rewriting removes as many bytes as the prefix
// has, so that the prefix itself need not be written.
type section struct {
	name    string
	members []string // backend ids; several are a pool
	strip   int      // bytes that are removed from the front of the path, 0: none
}

// plan is which section serves which route.
type plan struct {
	sections []section // by name
	of       []string  // of[i] is the name of the section of Routes[i]
	backends map[string]routing.Backend
}

func newPlan(t routing.Table) plan {
	p := plan{of: make([]string, len(t.Routes)), backends: make(map[string]routing.Backend, len(t.Backends))}
	for _, b := range t.Backends {
		p.backends[b.ID] = b
	}
	seen := make(map[string]bool, len(t.Routes))
	for i, r := range t.Routes {
		s := sectionOf(r)
		p.of[i] = s.name
		if !seen[s.name] {
			seen[s.name] = true
			p.sections = append(p.sections, s)
		}
	}
	slices.SortFunc(p.sections, func(a, b section) int { return cmp.Compare(a.name, b.name) })
	return p
}

// sectionOf names the section of a route: the backend's id, or "pool_" and a
// hash of the members' ids; "_s" and the bytes it strips follow.
func sectionOf(r routing.Route) section {
	s := section{name: r.Backends[0], members: r.Backends}
	if len(r.Backends) > 1 {
		sum := sha256.Sum256([]byte(strings.Join(r.Backends, ",")))
		s.name = "pool_" + hex.EncodeToString(sum[:8])
	}
	if r.Rewrite && r.Path != "/" {
		s.strip = len(r.Path)
		s.name += "_s" + strconv.Itoa(s.strip)
	}
	return s
}

// render writes the section. The share counts requests in this section; a
// refused one closes its connection, or refused clients would fill the slots
// all the same.
func (s section) render(b *strings.Builder, o routing.Backend, share int) error {
	fmt.Fprintf(b, "\nbackend %s\n", s.name)
	if len(o.Allow) > 0 {
		fmt.Fprintf(b, "  http-request deny deny_status 403 if !{ src -f @DIR@/%s }\n", allowFile(o.ID))
	}
	b.WriteString(balance[o.Algorithm])
	renderTimeouts(b, o)
	renderSticky(b, o)
	if err := renderHealthCheck(b, o); err != nil {
		return err
	}
	fmt.Fprintf(b, "  http-request return status 503 content-type text/html file @DIR@/pages/busy.html hdr connection close if { be_conn gt %d }\n", share)
	if s.strip > 0 {
		fmt.Fprintf(b, "  http-request redirect code 301 location %%[path]/%%[pathq,bytes(%d)] if { path,length eq %d }\n", s.strip, s.strip)
		fmt.Fprintf(b, "  http-request set-path %%[path,bytes(%d)]\n", s.strip)
	}
	if err := renderHeaders(b, o); err != nil {
		return err
	}
	fmt.Fprintf(b, "  # endpoints %s\n", s.name)
	return nil
}

// renderHeaders sets fixed values. The frontend has removed what clients may
// not say by then, and validate refuses the names of what the router says.
func renderHeaders(b *strings.Builder, o routing.Backend) error {
	for _, way := range []struct {
		rule string
		list []routing.Header
	}{{"http-request", o.RequestHeaders}, {"http-response", o.ResponseHeaders}} {
		for _, h := range way.list {
			value, err := logText(h.Value)
			if err != nil {
				return fmt.Errorf("header %s: %w", h.Name, err)
			}
			fmt.Fprintf(b, "  %s set-header %s %s\n", way.rule, h.Name, value)
		}
	}
	return nil
}

// renderSticky keeps clients at an endpoint by marking a cookie's value. The
// mark is a hash of the endpoint's address under a key that only proxies know,
// so it is the same at each of them and tells nothing. Where neither the client
// nor the application has the cookie, or where the client's is ours alone and
// its endpoint is gone, an empty one is set, which HAProxy marks like any other.
// The third letter of %tsc says what became of the client's: I and D are a mark
// of no endpoint, and of one that is down.
func renderSticky(b *strings.Builder, o routing.Backend) {
	if o.StickyCookie == "" {
		return
	}
	key := sha256.Sum256([]byte("sticky\x00" + o.ServiceID))
	fmt.Fprintf(b, `  cookie %[1]s prefix dynamic
  dynamic-cookie-key %[2]x
  acl il_theirs res.cook(%[1]s) -m found
  acl il_new var(txn.lost) -m found
  http-request set-var(txn.stick) req.cook(%[1]s)
  http-response set-var-fmt(txn.tsc) %%tsc
  http-response set-var(txn.lost) bool(true) if !{ var(txn.stick) -m found }
  http-response set-var(txn.lost) bool(true) if { var(txn.stick) -m end ~ } { var(txn.tsc) -m reg ^..[ID] }
  http-response add-header cache-control private if il_new !il_theirs
  http-response add-header set-cookie '%[1]s=; Path=/; HttpOnly' if il_new !il_theirs
`, o.StickyCookie, key[:16])
}

// renderHealthCheck writes how endpoints are checked where connecting is not
// enough.
func renderHealthCheck(b *strings.Builder, o routing.Backend) error {
	if o.HealthPath == "" {
		return nil
	}
	uri, err := word(o.HealthPath)
	if err != nil {
		return fmt.Errorf("health path: %w", err)
	}
	if o.HealthTimeout > 0 {
		fmt.Fprintf(b, "  timeout check %dms\n", o.HealthTimeout)
	}
	b.WriteString("  option httpchk\n  http-check send meth GET uri " + uri + " ver HTTP/1.1 hdr host localhost hdr user-agent interlock\n")
	b.WriteString("  http-check expect status " + cmp.Or(o.HealthStatus, routing.DefaultHealthStatus) + "\n")
	return nil
}

// allowFile lists the networks whose clients a backend serves.
func allowFile(id string) string { return "lists/allow_" + id + ".lst" }

// allowFiles are those of the first members of all sections: members of a pool
// don't differ in it.
func allowFiles(p plan) (files []bundle.File) {
	seen := map[string]bool{}
	for _, s := range p.sections {
		b := p.backends[s.members[0]]
		if len(b.Allow) > 0 && !seen[b.ID] {
			seen[b.ID] = true
			files = append(files, bundle.File{Path: allowFile(b.ID), Data: strings.Join(b.Allow, "\n") + "\n"})
		}
	}
	return files
}

// renderTimeouts writes those that differ from the defaults'.
func renderTimeouts(b *strings.Builder, o routing.Backend) {
	for _, t := range []struct {
		name string
		ms   int
	}{{"connect", o.ConnectTimeout}, {"server", o.ResponseTimeout}, {"tunnel", o.IdleTimeout}} {
		if t.ms > 0 {
			fmt.Fprintf(b, "  timeout %s %dms\n", t.name, t.ms)
		}
	}
}

// options are those that the section has once.
func (p plan) options(s section) routing.Backend {
	members := make([]routing.Backend, len(s.members))
	for i, id := range s.members {
		members[i] = p.backends[id]
	}
	return routing.Pool(members)
}

// balance are the lines of each algorithm. A plain hash refuses servers that
// are added at run time; a consistent one takes them.
var balance = map[string]string{
	routing.RoundRobin: "  balance roundrobin\n",
	routing.LeastConn:  "  balance leastconn\n",
	routing.IPHash:     "  balance source\n  hash-type consistent\n",
	routing.Random:     "  balance random\n",
}

// backendsOf lists the backends that have a section, in the table's order.
func backendsOf(t routing.Table, p plan) []bundle.Backend {
	sections := make(map[string][]string, len(t.Backends))
	for _, s := range p.sections {
		for _, id := range s.members {
			sections[id] = append(sections[id], s.name)
		}
	}
	out := make([]bundle.Backend, 0, len(t.Backends))
	for _, b := range t.Backends {
		if len(sections[b.ID]) == 0 {
			continue
		}
		out = append(out, bundle.Backend{
			ID: b.ID, Sections: sections[b.ID], Server: serverOptions(b),
			DNS: dnsName(b), Port: b.Port, Network: b.Network,
		})
	}
	return out
}

// poolLow is the number of idle connections to an endpoint below which a thread
// opens its own instead of taking one from another thread, which costs both a
// lock and system calls. HAProxy's manual advises about two for each thread.
const poolLow = "4"

// serverOptions are the options of one endpoint's server line. The same words
// follow "add server" at run time, which inherits nothing from default-server.
//
// Two failed connections in a row call for a check at once, whose failure takes
// the endpoint out. Without that a node that vanished under load kept its
// endpoints for 5 s, longer than the four attempts of a request: with two of
// three endpoints gone, one request in 300 was answered with 503. With it they
// were out after 1.5 s, and no request failed.
//
// MaxFails counts failed connections in a row, not answers: a client that can
// provoke a 500 must not be able to take an endpoint out. The endpoint is tried
// again after FailTimeout.
func serverOptions(b routing.Backend) string {
	inter := "2s"
	if b.HealthInterval > 0 {
		inter = fmt.Sprintf("%dms", b.HealthInterval)
	}
	options := "check inter " + inter + " fastinter 500ms fall 2 rise 1 pool-low-conn " + poolLow
	switch {
	case b.MaxFails == 0:
		options += " downinter 1s observe layer4 error-limit 2 on-error sudden-death"
	case b.FailTimeout == 0:
		options += fmt.Sprintf(" observe layer4 error-limit %d on-error mark-down", b.MaxFails)
	default:
		options += fmt.Sprintf(" downinter %dms observe layer4 error-limit %d on-error mark-down", b.FailTimeout, b.MaxFails)
	}
	if b.MaxConnections > 0 {
		options += fmt.Sprintf(" maxconn %d", b.MaxConnections)
	}
	if b.Protocol == routing.H2 {
		options += " proto h2"
	}
	return options
}

// dnsName answers on the node's resolver with the tasks' addresses, or with the
// virtual one.
func dnsName(b routing.Backend) string {
	if b.Mode == routing.ModeVIP {
		return b.Service
	}
	return "tasks." + b.Service
}
