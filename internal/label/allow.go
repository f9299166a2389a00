package label

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"interlock/internal/problems"
	"interlock/routing"
)

// maxAllow bounds the entries of allow.
const maxAllow = 256

// parseAllow takes all entries or none: a list without its bad ones would shut
// clients out, and one taken for empty would let all in.
func parseAllow(value string, s *Spec) []routing.Problem {
	v := strings.TrimSuffix(trim(value), ",")
	if v == "" {
		return one(problems.LabelAllow, "allow is empty, perhaps because of a variable that is not set", "write the networks that are served, for example 10.0.0.0/8, or 0.0.0.0/0,::/0 for all")
	}
	if placeholder("allow", v) {
		return placeholderProblem(value)
	}
	if n := strings.Count(v, ",") + 1; n > maxAllow {
		return one(problems.LabelAllow, fmt.Sprintf("%d entries; at most %d are read", n, maxAllow), "use larger networks")
	}
	var list []netip.Prefix
	for part := range strings.SplitSeq(v, ",") {
		p, hint := parseNetworkOf(trim(part))
		if hint != "" {
			return one(problems.LabelAllow, quote(part)+" is neither an address nor a network", hint)
		}
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b netip.Prefix) int { return strings.Compare(a.String(), b.String()) })
	for _, p := range slices.Compact(list) {
		s.Allow = append(s.Allow, p.String())
	}
	return nil
}

// parseNetworkOf reads an address or a CIDR; hint is "" when it is one.
func parseNetworkOf(v string) (p netip.Prefix, hint string) {
	const example = "write networks such as 10.0.0.0/8 or 2001:db8::/32, separated by commas"
	if a, err := netip.ParseAddr(v); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), ""
	}
	p, err := netip.ParsePrefix(v)
	switch {
	case err != nil:
		return p, example
	case p.Addr().Is4In6():
		return p, "write an IPv4 network as such, for example 10.0.0.0/8"
	case p != p.Masked():
		return p, fmt.Sprintf("write %s for the network, or %s for the one address", p.Masked(), p.Addr())
	}
	return p, ""
}
