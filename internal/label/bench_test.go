package label_test

import (
	"testing"

	"interlock/internal/label"
)

// BenchmarkParse is a service as most are: compiling parses each at least once.
func BenchmarkParse(b *testing.B) {
	labels := map[string]string{
		"com.docker.lb.hosts": "shop.dev.example.com,www.dev.example.com", "com.docker.lb.port": "8080",
		"com.docker.lb.network": "web", "com.docker.lb.context_root": "/shop", "com.docker.lb.service_cluster": "dev",
		"com.docker.ucp.access.label": "/dev", "com.docker.stack.namespace": "shop", "com.docker.stack.image": "shop:1",
	}
	b.ReportAllocs()
	for b.Loop() {
		label.Parse(labels)
		label.Digest(labels)
	}
}
