package config

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"interlock/internal/label"
)

// setter reads one key's value into a draft. Its error says what is wrong with
// the value in words that follow the key's name and a colon.
type setter func(d *draft, v any) error

func text(field func(*draft) *string, check func(string) error) setter {
	return func(d *draft, v any) error {
		s, ok := v.(string)
		if !ok {
			return fmt.Errorf("%s is not a string", kindOf(v))
		}
		if err := check(s); err != nil {
			return err
		}
		*field(d) = s
		return nil
	}
}

func list(field func(*draft) *[]string, normal func(string) (string, error)) setter {
	return func(d *draft, v any) error {
		items, ok := v.([]any)
		if !ok {
			return fmt.Errorf("%s is not a list of strings", kindOf(v))
		}
		out := make([]string, 0, len(items))
		for _, item := range items {
			s, ok := item.(string)
			if !ok {
				return fmt.Errorf("%s in the list is not a string", kindOf(item))
			}
			s, err := normal(s)
			if err != nil {
				return err
			}
			if !slices.Contains(out, s) {
				out = append(out, s)
			}
		}
		*field(d) = out
		return nil
	}
}

// lines is a list whose order and repetitions mean something.
func lines(field func(*draft) *[]string) setter {
	return func(d *draft, v any) error {
		items, ok := v.([]any)
		if !ok {
			return fmt.Errorf("%s is not a list of strings", kindOf(v))
		}
		out := make([]string, 0, len(items))
		for _, item := range items {
			s, ok := item.(string)
			if !ok || strings.ContainsAny(s, "\n\r\x00") {
				return errors.New("a line must be a string without line breaks")
			}
			out = append(out, s)
		}
		*field(d) = out
		return nil
	}
}

func table(field func(*draft) *map[string]string, check func(key, value string) error) setter {
	return func(d *draft, v any) error {
		entries, ok := v.(map[string]any)
		if !ok {
			return fmt.Errorf("%s is not a table of strings", kindOf(v))
		}
		out := make(map[string]string, len(entries))
		for _, key := range slices.Sorted(maps.Keys(entries)) {
			value := entries[key]
			s, ok := value.(string)
			if !ok {
				return fmt.Errorf("%s of %s is not a string", kindOf(value), strconv.QuoteToASCII(clip(key)))
			}
			if err := check(key, s); err != nil {
				return err
			}
			out[key] = s
		}
		*field(d) = out
		return nil
	}
}

func truth(field func(*draft) *bool) setter {
	return func(d *draft, v any) error {
		b, ok := v.(bool)
		if !ok {
			return fmt.Errorf("%s is neither true nor false", kindOf(v))
		}
		*field(d) = b
		return nil
	}
}

func number(lo, hi int, set func(*draft, int)) setter {
	return func(d *draft, v any) error {
		n, ok := v.(int64)
		if !ok {
			return fmt.Errorf("%s is not a whole number", kindOf(v))
		}
		if n < int64(lo) || n > int64(hi) {
			return fmt.Errorf("%d is not within %d and %d", n, lo, hi)
		}
		set(d, int(n))
		return nil
	}
}

func span(lo, hi time.Duration, set func(*draft, time.Duration)) setter {
	return func(d *draft, v any) error {
		t, err := duration(v)
		if err != nil {
			return err
		}
		if t < lo || t > hi {
			return fmt.Errorf("%s is not within %s and %s", t, lo, hi)
		}
		set(d, t)
		return nil
	}
}

// millis is a span of at least a millisecond and at most a day that the model
// has in milliseconds.
func millis(field func(*draft) *int) setter {
	return span(time.Millisecond, 24*time.Hour, func(d *draft, t time.Duration) {
		*field(d) = int(t.Milliseconds())
	})
}

// duration takes "75s", "1m30s", and numbers, which are seconds as in the
// original.
func duration(v any) (time.Duration, error) {
	switch v := v.(type) {
	case int64:
		if v < 0 || v > math.MaxInt32 {
			return 0, fmt.Errorf("%d is not a number of seconds", v)
		}
		return time.Duration(v) * time.Second, nil
	case string:
		if n, err := strconv.ParseUint(v, 10, 31); err == nil {
			return time.Duration(n) * time.Second, nil
		}
		t, err := time.ParseDuration(v)
		if err != nil {
			return 0, fmt.Errorf("%s is not a duration", strconv.QuoteToASCII(clip(v)))
		}
		return t, nil
	}
	return 0, fmt.Errorf("%s is not a duration", kindOf(v))
}

// kindOf names a value for a message without repeating long text.
func kindOf(v any) string {
	switch v := v.(type) {
	case string:
		return strconv.QuoteToASCII(clip(v))
	case int64, float64, bool:
		return fmt.Sprint(v)
	case []any, []map[string]any:
		return "a list"
	case map[string]any:
		return "a table"
	}
	return "a value of another kind"
}

var (
	dockerName  = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$`)
	networkName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$`)
	signal      = regexp.MustCompile(`^(SIG)?(TERM|QUIT|INT)$`)
	constraint  = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_./-]*\s*(==|!=)\s*\S.*$`)
	preference  = regexp.MustCompile(`^(node|engine)\.labels\.\S+$`)
)

func anyText(s string) error {
	if strings.ContainsAny(s, "\n\r\x00") {
		return errors.New("it contains a line break")
	}
	return nil
}

func anyEntry(_, value string) error { return anyText(value) }

func oneOf(values ...string) func(string) error {
	return func(s string) error {
		if slices.Contains(values, s) {
			return nil
		}
		return fmt.Errorf("%s is none of %s", strconv.QuoteToASCII(clip(s)), strings.Join(values, ", "))
	}
}

func matching(form *regexp.Regexp, what string) func(string) error {
	return func(s string) error {
		if form.MatchString(s) {
			return nil
		}
		return fmt.Errorf("%s is not %s", strconv.QuoteToASCII(clip(s)), what)
	}
}

// item makes a check one that lists use.
func item(check func(string) error) func(string) (string, error) {
	return func(s string) (string, error) { return s, check(s) }
}

func clusterName(s string) error {
	if s == "" || label.IsClusterName(s) {
		return nil
	}
	return fmt.Errorf("%s can't be a cluster's name: letters, digits, _ . and -, at most 63", strconv.QuoteToASCII(clip(s)))
}

func collection(s string) (string, error) {
	if !path.IsAbs(s) || path.Clean(s) != strings.TrimSuffix(s, "/") && s != "/" || anyText(s) != nil {
		return "", fmt.Errorf("%s is not a collection such as /dev", strconv.QuoteToASCII(clip(s)))
	}
	return path.Clean(s), nil
}

func pattern(s string) (string, error) {
	if _, err := path.Match(s, ""); err != nil || s == "" {
		return "", fmt.Errorf("%s is not a pattern of stack names such as shop-*", strconv.QuoteToASCII(clip(s)))
	}
	return s, nil
}

func hostPattern(s string) (string, error) {
	h, _, ok := label.ParseHost(s)
	if !ok {
		return "", fmt.Errorf("%s is neither a host name nor *.suffix", strconv.QuoteToASCII(clip(s)))
	}
	return string(h), nil
}

func owner(host, stacks string) error {
	if _, err := hostPattern(host); err != nil {
		return err
	}
	_, err := pattern(stacks)
	return err
}

// owners brings the hosts into normal form after table has read them.
func owners(d *draft, v any) error {
	raw := map[string]string{}
	if err := table(func(*draft) *map[string]string { return &raw }, owner)(d, v); err != nil {
		return err
	}
	d.Policy.Owners = make(map[string]string, len(raw))
	for _, host := range slices.Sorted(maps.Keys(raw)) {
		stacks := raw[host]
		normal, _ := hostPattern(host)
		if other, twice := d.Policy.Owners[normal]; twice && other != stacks {
			return fmt.Errorf("%s is given to two owners", normal)
		}
		d.Policy.Owners[normal] = stacks
	}
	return nil
}

func trustedProxy(s string) (string, error) {
	if p, err := netip.ParsePrefix(s); err == nil {
		return p.Masked().String(), nil
	}
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		return netip.PrefixFrom(a, a.BitLen()).String(), nil
	}
	return "", fmt.Errorf("%s is neither an address nor a prefix such as 10.0.0.0/8", strconv.QuoteToASCII(clip(s)))
}

// spread takes "spread=node.labels.zone" and "node.labels.zone".
func spread(s string) (string, error) {
	s = strings.TrimPrefix(s, "spread=")
	return s, matching(preference, "a placement preference such as spread=node.labels.zone")(s)
}

// engine accepts what exists; the original's engines have names of their own.
func engine(d *draft, v any) error {
	s, _ := v.(string)
	if s == "nginx" {
		return errors.New("nginx is not served by this version")
	}
	return text(func(d *draft) *string { return &d.Engine }, oneOf("haproxy", "embedded"))(d, v)
}
