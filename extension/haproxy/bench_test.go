package haproxy

import (
	"testing"

	"interlock/extension/extensiontest"
)

// BenchmarkRender renders 10,000 services with a route each.
func BenchmarkRender(b *testing.B) {
	table := extensiontest.Big("big", 10_000)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Render(table); err != nil {
			b.Fatal(err)
		}
	}
}
