package docker

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"
)

// lists10k are 10,000 services with three tasks each, written as the Engine does.
func lists10k() Lists {
	var l Lists
	for i := range 10_000 {
		template := fmt.Sprintf(`{"ContainerSpec":{"Image":"registry.example.com/app:%d","Env":["A=1","B=2","C=3"],"Init":false,`+
			`"DNSConfig":{},"Isolation":"default"},"Resources":{"Limits":{},"Reservations":{}},"Placement":{},`+
			`"Networks":[{"Target":"net%d"}],"ForceUpdate":0`, i, i%100)
		l.Services = append(l.Services, json.RawMessage(fmt.Sprintf(`{"ID":"s%d","Version":{"Index":%d},"CreatedAt":"2026-01-02T03:04:05Z",`+
			`"Spec":{"Name":"app%d","Labels":{"com.docker.lb.hosts":"app%d.example.com","com.docker.lb.port":"8080","com.docker.stack.namespace":"x"},`+
			`"TaskTemplate":%s,"Runtime":"container"},"Mode":{"Replicated":{"Replicas":3}}},"Endpoint":{"Spec":{}}}`, i, i, i, i, template)))
		for k := range 3 {
			l.Tasks = append(l.Tasks, json.RawMessage(fmt.Sprintf(`{"ID":"t%d.%d","ServiceID":"s%d","NodeID":"n%d","Slot":%d,"Spec":%s},`+
				`"Status":{"Timestamp":"2026-01-02T03:04:06Z","State":"running"},"DesiredState":"running",`+
				`"NetworksAttachments":[{"Network":{"ID":"net%d","Spec":{"Name":"net%d","DriverConfiguration":{"Name":"overlay"}}},"Addresses":["10.%d.%d.%d/20"]}]}`,
				i, k, i, k, k+1, template, i%100, i%100, k, i/250, i%250)))
		}
	}
	return l
}

// BenchmarkSnapshot converts everything, as after a start.
func BenchmarkSnapshot(b *testing.B) {
	l := lists10k()
	for b.Loop() {
		s, err := l.Snapshot()
		if err != nil || len(s.Tasks) != 30_000 {
			b.Fatal(len(s.Tasks), err)
		}
	}
}

// BenchmarkLookAgain takes over lists in which nothing has changed, as every
// few seconds.
func BenchmarkLookAgain(b *testing.B) {
	l, v, now := lists10k(), newView(time.Minute), question{}
	look := func() {
		_, err1 := v.fillServices(l.Services, nil, true, now)
		_, err2 := v.fillTasks(l.Tasks, nil, nil, now)
		v.forget(now.number + 1)
		if err := errors.Join(err1, err2); err != nil || len(v.snapshot().Tasks) != 30_000 {
			b.Fatal(err)
		}
	}
	look()
	for b.Loop() {
		look()
	}
}
