package config

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// Slug reduces a cluster's name to [a-z0-9-], at most 24 characters, with six
// hex digits of the name's hash appended when that changed it. "" is "default".
func Slug(name string) string {
	if name == "" {
		return "default"
	}
	var b strings.Builder
	for _, r := range strings.ToLower(name) {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' {
			b.WriteRune(r)
		}
	}
	s := strings.Trim(b.String(), "-")
	if s == name && len(s) <= 24 && s != "default" {
		return s
	}
	sum := sha256.Sum256([]byte(name))
	if len(s) > 17 {
		s = strings.TrimRight(s[:17], "-")
	}
	if s == "" {
		s = "c"
	}
	return s + "-" + hex.EncodeToString(sum[:3])
}
