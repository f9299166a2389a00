package haproxy

import (
	"fmt"
	"strings"

	"interlock/routing"
)

// The expressions of routing.Resolve's rules 5 and 7. They search for what is
// wrong instead of repeating a group over what is right, so that a long path
// needs no stack. inPath looks no further than the path of a URL in origin form.
const (
	hostForm = `[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*\.?(?::[0-9]{1,5})?$`

	// "%" without two digits, NUL, backslash, an encoded unreserved character.
	badEncoding = `%(?![0-9a-f]{2})|%(?:00|2[de]|3[0-9]|4[1-9a-f]|5[0-9acf]|6[1-9a-f]|7[0-9ae])`
	strictPath  = `//|\\|` + badEncoding + `|%2f|/\.\.?(?:/|;|$)`
	relaxedPath = `\\|` + badEncoding + `|(?:/|%2f)\.\.?(?:/|;|%2f|$)`
	badByte     = `[^\x21\x22\x24-\x7e]`
	inPath      = `^[^?]*?`
)

// logFormat is of failed requests: JSON, without the query.
const logFormat = `'%{+json}o %(client)ci %(port)cp %(status)ST %(state)tsc %(section)b %(server)s %(ms)Ta %(method)HM %(host)[var(txn.sent)] %(path)HPO %(id)ID'`

// maxHost is the longest Host: 253 bytes of name, a dot, ":" and five digits.
const maxHost = 253 + 1 + 6

// renderFrontend writes the public listener: refuse, name the host, find the
// section, clean the headers. The order of the refusals is that of the rules in
// routing.Resolve.
func renderFrontend(b *strings.Builder, t routing.Table, m maps) error {
	base := t.Base
	fmt.Fprintf(b, "\nfrontend il_http\n  bind :%d\n  maxconn %d\n  log-format %s\n", base.HTTPPort, base.MaxConnections, logFormat)
	if base.ProxyProtocol {
		b.WriteString("  tcp-request connection expect-proxy layer4 if { src -f @DIR@/lists/trusted.lst }\n")
	}
	renderRefusals(b, base)
	renderFraming(b)
	renderSite(b, m)
	renderPathCheck(b, base)
	renderPathLookup(b, m)
	renderRequestHeaders(b)
	renderResponseHeaders(b)
	if base.InfoHeaders {
		if err := renderInfoHeaders(b, t.Cluster); err != nil {
			return err
		}
	}
	fmt.Fprintf(b, "  use_backend %%[var(txn.be)] if { var(txn.be) -m found }\n  default_backend %s\n", unrouted)
	return nil
}

// renderRefusals writes rules 1 to 4 for what is not in the usual origin form,
// and those of rules 5 and 7 that every request needs, in as few looks at it as
// can be. HAProxy's parser has refused an absolute form whose authority differs
// from Host, but for userinfo and an absent Host. An ACL with several lines is
// true when one of them is.
func renderRefusals(b *strings.Builder, base routing.Base) {
	path := strictPath
	if base.RelaxedPaths {
		path = relaxedPath
	}
	b.WriteString(`  acl il_origin url -m beg /
  acl il_odd method CONNECT
  acl il_odd url -m reg -i '^(?!https?://[^/?]*/)'
  acl il_odd url -m reg '^[^/]*//[^/]*@'
  acl il_odd url -m reg '` + badByte + `'
  acl il_odd path -m reg -i '` + path + `'
  acl il_odd req.fhdr_cnt(host) eq 0
  acl il_odd req.fhdr(host) -m len eq 0
  http-request deny deny_status 400 if !il_origin il_odd
  http-request deny deny_status 400 if il_origin { url -m reg -i '` + inPath + `(?:` + path + `)|` + badByte + `' }
  http-request deny deny_status 400 if { req.fhdr_cnt(host) gt 1 }
`)
}

// renderFraming refuses what servers delimit differently: chunks in HTTP/1.0,
// which has none. HAProxy hands them on as HTTP/1.1, and what one side takes for
// the body is the next request for the other. It is no rule of routing.Resolve,
// which sees the request line and Host alone.
func renderFraming(b *strings.Builder) {
	b.WriteString("  http-request deny deny_status 400 if HTTP_1.0 { req.fhdr_cnt(transfer-encoding) gt 0 }\n")
}

const (
	hostsMap    = "map_str(@DIR@/maps/hosts.map)"
	patternsMap = "map_str(@DIR@/maps/patterns.map)"
	unknownSite = " if !{ var(txn.be) -m found }"
)

// renderSite writes the rest of rule 5, and rule 6: exact host, longest
// wildcard, default backend. txn.sent is Host as sent, txn.host its normal form
// where that was needed, txn.be the site's value in the map, txn.site its key.
// Most requests name a host as it stands in the map, which is proof enough of
// its form; only others are looked at byte for byte. Hence patterns have a map
// of their own: a Host of "*.example.com" must not be found.
func renderSite(b *strings.Builder, m maps) {
	patterns := m.hasDefault || len(m.wildcards) > 0
	lookup := func(name, condition string) {
		b.WriteString("  http-request set-var(txn.be) var(" + name + ")," + hostsMap + condition + "\n")
		if patterns || m.open {
			b.WriteString("  http-request set-var(txn.site) var(" + name + ") if { var(txn.be) -m found } !{ var(txn.site) -m found }\n")
		}
	}
	b.WriteString("  http-request set-var(txn.sent) req.fhdr(host)\n")
	lookup("txn.sent", "")
	renderHostCheck(b)
	lookup("txn.host", unknownSite)
	renderWildcards(b, m.wildcards)
	if m.hasDefault {
		b.WriteString("  http-request set-var(txn.site) str(*) if !{ var(txn.site) -m found }\n")
	}
	if patterns {
		b.WriteString("  http-request set-var(txn.be) var(txn.site)," + patternsMap + unknownSite + "\n")
	}
}

// renderHostCheck refuses a Host that is not in form and brings it to normal form.
func renderHostCheck(b *strings.Builder) {
	fmt.Fprintf(b, "  acl il_bad_host req.fhdr(host) -m len gt %d\n", maxHost)
	b.WriteString("  acl il_bad_host req.fhdr(host) -m reg -i '^(?!$|" + hostForm + ")'\n")
	b.WriteString("  http-request deny deny_status 400" + unknownSite + " il_bad_host\n")
	b.WriteString("  http-request deny deny_status 400" + unknownSite + " !{ req.fhdr_cnt(host) gt 0 } !HTTP_1.0\n")
	b.WriteString("  http-request set-var(txn.host) req.fhdr(host),field(1,:),rtrim(.),lower" + unknownSite + "\n")
	b.WriteString("  http-request deny deny_status 400" + unknownSite + " { var(txn.host) -m len gt 253 }\n")
}

// renderWildcards grows the suffix label by label from the right, over the host
// without its first label (a wildcard needs one more label than its suffix), and
// looks up each depth that some wildcard has. The longest comes last and stays.
// A host with fewer labels grows a suffix with a leading dot, which is no key.
func renderWildcards(b *strings.Builder, depths []bool) {
	if len(depths) == 0 {
		return
	}
	b.WriteString("  http-request set-var(txn.parent) var(txn.host),field(2,.,0)" + unknownSite + "\n")
	for n := 1; n < len(depths); n++ {
		grow := ""
		if n > 1 {
			grow = ",concat(.,txn.suffix)"
		}
		fmt.Fprintf(b, "  http-request set-var(txn.suffix) var(txn.parent),field(-%d,.,1)%s%s\n", n, grow, unknownSite)
		if depths[n] {
			b.WriteString("  http-request set-var(txn.site) str(*.),concat(,txn.suffix)" + unknownSite +
				" { str(*.),concat(,txn.suffix)," + patternsMap + " -m found }\n")
		}
	}
}

// renderPathCheck writes what is left of rule 7: only a host with one route may
// have the paths that RelaxedPaths lets through.
func renderPathCheck(b *strings.Builder, base routing.Base) {
	if !base.RelaxedPaths {
		return
	}
	for _, several := range []string{"!{ var(txn.be) -m found }", "{ var(txn.be) -m str " + manyPaths + " }"} {
		b.WriteString("  http-request deny deny_status 400 if " + several + " { path -m reg -i '" + strictPath + "' }\n")
	}
}

// renderPathLookup writes rule 8. A lookup that finds nothing leaves txn.be as
// it was, and the section of that name answers 503.
func renderPathLookup(b *strings.Builder, m maps) {
	const (
		inPaths = ",concat(,txn.path),map_beg(@DIR@/maps/paths.map)"
		open    = " if { var(txn.be) -m str " + onePath + " " + manyPaths + " }"
	)
	if !m.open {
		return
	}
	b.WriteString("  http-request set-var(txn.path) path,concat(/)" + open + "\n")
	b.WriteString("  http-request set-var(txn.be) var(txn.site)" + inPaths + open + "\n")
	if m.hasDefault {
		b.WriteString("  http-request set-var(txn.be) str(*)" + inPaths + open + "\n")
	}
}

// ownHeaders are those that a client must not say in our name, or that concern
// one hop only. They go in one pass over the headers, and ours are added after
// it: a rule for each costs as much as all the rest of the frontend.
const ownHeaders = `keep-alive|proxy|proxy-connection|forwarded|x-forwarded-.*|x-real-ip|x-request-id`

// renderRequestHeaders sets what services may rely on. Connection is
// overwritten: it would otherwise name headers of ours for removal by the next
// hop. An upgrade to h2c would open a tunnel past all rules.
func renderRequestHeaders(b *strings.Builder) {
	b.WriteString(`  http-request set-uri %[pathq] if !{ url -m beg / }
  http-request set-var(txn.upgrade) bool(true) if { req.hdr(connection) -m str -i upgrade } { req.fhdr(upgrade) -m found } !{ req.fhdr(upgrade) -m sub -i h2c }
  http-request del-header upgrade if { req.fhdr(upgrade) -m found } !{ var(txn.upgrade) -m found }
  http-request del-header '(?i)^(?:connection|` + ownHeaders + `)$' -m reg
  http-request add-header connection upgrade if { var(txn.upgrade) -m found }
  http-request add-header x-real-ip %ci
  http-request add-header x-forwarded-proto http
  http-request add-header x-forwarded-host %[var(txn.sent)] if { var(txn.sent) -m len gt 0 }
  unique-id-header x-request-id
`)
}

// renderResponseHeaders adds to answers. In lame duck every answer but an
// upgrade closes its connection.
func renderResponseHeaders(b *strings.Builder) {
	b.WriteString(`  http-after-response set-header x-request-id %[unique-id]
  http-after-response set-header connection close if { str(state),map_str(@RUN@/health.map) -m str drain } !{ status 101 }
`)
}

// renderInfoHeaders adds the original's headers to what services answer. Times
// are seconds with three decimals, as the original's were.
func renderInfoHeaders(b *strings.Builder, cluster string) error {
	server, err := logText(strings.TrimSpace("interlock " + cluster))
	if err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	b.WriteString("  http-response set-header x-server-info " + server + `
  http-response set-header x-proxy-id %[env(INTERLOCK_PROXY)]
  http-response set-header x-upstream-addr %si:%sp
  http-response set-header x-upstream-response-time %[res.timer.hdr,div(1000)].%[res.timer.hdr,mod(1000),add(1000),regsub(^1,)]
`)
	return nil
}
