package haproxy

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"interlock/bundle"
	"interlock/routing"
)

// server is one endpoint in one section, as HAProxy knows it.
type server struct {
	section string
	name    string
	address string // "10.0.0.1:80" or "[fd00::1]:80"
	options string
	maint   bool
	down    bool // when last read: its checks have failed, or it is in maintenance
}

func (s server) key() string { return s.section + "/" + s.name }

func (s server) line() string {
	return strings.TrimRight("  server "+s.name+" "+s.address+" "+s.options, " ")
}

func (s server) checked() bool {
	for _, w := range strings.Fields(s.options) {
		if w == "check" {
			return true
		}
	}
	return false
}

// serverName is made of nothing but the endpoint's address and port, so that
// the same target has the same name whoever tells of it, core or DNS.
func serverName(a netip.Addr, port int) string {
	name := a.AppendTo([]byte("e_"))
	for i, c := range name {
		switch c {
		case '.':
			name[i] = '_'
		case ':':
			name[i] = '-'
		}
	}
	return string(strconv.AppendInt(append(name, '_'), int64(port), 10))
}

// newServer refuses all but a plain address with a port: a name would make
// HAProxy depend on DNS.
func newServer(section string, be bundle.Backend, e routing.Endpoint) (server, error) {
	a, err := netip.ParseAddr(e.Address)
	if err != nil || a.Zone() != "" {
		return server{}, fmt.Errorf("endpoint of %s: %q is not an address", be.ID, e.Address)
	}
	if e.Port < 1 || e.Port > 65535 {
		return server{}, fmt.Errorf("endpoint of %s: port %d is out of range", be.ID, e.Port)
	}
	a = a.Unmap()
	return server{
		section: section,
		name:    serverName(a, e.Port),
		address: netip.AddrPortFrom(a, uint16(e.Port)).String(),
		options: be.Server,
	}, nil
}

// wanted are the servers of each section for these endpoints, by name. An
// endpoint that two backends of a pool share is there once. What is no
// endpoint is left out and reported; the rest stands.
func wanted(b bundle.Bundle, eps routing.Endpoints) (map[string][]server, []error) {
	sections := make(map[string][]server, len(b.Backends))
	var problems []error
	for _, be := range b.Backends {
		for _, section := range be.Sections {
			for _, e := range eps[be.ID] {
				s, err := newServer(section, be, e)
				if err != nil {
					problems = append(problems, err)
					continue
				}
				sections[section] = append(sections[section], s)
			}
		}
	}
	for section, list := range sections {
		slices.SortStableFunc(list, func(a, b server) int { return strings.Compare(a.name, b.name) })
		sections[section] = slices.CompactFunc(list, func(a, b server) bool { return a.name == b.name })
	}
	return sections, problems
}

// Columns of "show servers state" (management.txt, version 1).
const (
	colSection    = 1
	colName       = 3
	colAddress    = 4
	colOpState    = 5
	colAdminState = 6
	colPort       = 18

	// adminMaint is SRV_ADMF_FMAINT: put into maintenance by command.
	adminMaint = 0x01
	// opStopped is SRV_ST_STOPPED: it gets no requests.
	opStopped = "0"
)

// parseServers reads the answer to "show servers state".
func parseServers(answer string) ([]server, error) {
	lines := strings.Split(answer, "\n")
	if strings.TrimSpace(lines[0]) != "1" {
		return nil, fmt.Errorf("haproxy: servers state of an unknown version %.40q", lines[0])
	}
	var list []server
	for _, line := range lines[1:] {
		if line == "" || line[0] == '#' {
			continue
		}
		s, err := parseServer(strings.Fields(line))
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, nil
}

func parseServer(f []string) (server, error) {
	if len(f) <= colPort {
		return server{}, fmt.Errorf("haproxy: servers state with %d columns", len(f))
	}
	admin, err := strconv.Atoi(f[colAdminState])
	if err != nil {
		return server{}, fmt.Errorf("haproxy: servers state: %w", err)
	}
	s := server{section: f[colSection], name: f[colName], maint: admin&adminMaint != 0, down: f[colOpState] == opStopped}
	if a, err := netip.ParseAddr(f[colAddress]); err == nil {
		port, _ := strconv.ParseUint(f[colPort], 10, 16)
		s.address = netip.AddrPortFrom(a, uint16(port)).String()
	}
	return s, nil
}
