package label

import "testing"

// FuzzPlainHost holds the short way of ParseHost to the long one.
func FuzzPlainHost(f *testing.F) {
	for _, seed := range []string{"app.example.com", "a-b.c", "a--b.c", "xn--a.c", "1.2", "0xa", "a.0x1f", "localhost", "a.", ".a", "-a", "a-", "hosts"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if !isPlain(name) {
			return
		}
		if h, found, ok := parseHost(name); !ok || string(h) != name || len(found) > 0 {
			t.Errorf("%q: %q, %v", name, h, found)
		}
	})
}
