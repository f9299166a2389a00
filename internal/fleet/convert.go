package fleet

import (
	"crypto/ed25519"
	"maps"
	"slices"
	"strings"

	"interlock/bundle"
	fleetv1 "interlock/proto/fleet/v1"
	"interlock/routing"
)

// maxText and maxWords bound what an agent says, in bytes.
const (
	maxText  = 256
	maxWords = 4 << 10
)

func clip(s string, n int) string {
	if len(s) > n {
		s = s[:n]
	}
	return strings.ToValidUTF8(s, "�")
}

func agentFrom(h *fleetv1.Hello) Agent {
	return Agent{
		Proxy: clip(h.GetProxy(), maxText), Node: clip(h.GetNode(), maxText), Task: clip(h.GetTask(), maxText),
		Engine: clip(h.GetEngine(), maxText), EngineVersion: clip(h.GetEngineVersion(), maxText), Version: clip(h.GetVersion(), maxText),
		Running: positionFrom(h.GetRunning()), Confirmed: positionFrom(h.GetConfirmed()),
		RunningDigest: clip(h.GetRunningDigest(), maxText), ConfirmedDigest: clip(h.GetConfirmedDigest(), maxText),
		ConfirmedSignature: signatureFrom(h.GetConfirmedSignature()), Draining: h.GetDraining(),
	}
}

// signatureFrom is nil for what is no signature by its length.
func signatureFrom(b []byte) []byte {
	if len(b) != ed25519.SignatureSize {
		return nil
	}
	return b
}

func reportFrom(r *fleetv1.Report) Report {
	return Report{
		ID: clip(r.GetId(), maxText), Position: positionFrom(r.GetPosition()), Digest: clip(r.GetDigest(), maxText),
		Phase: phaseFrom(r.GetPhase()), Message: clip(r.GetMessage(), maxWords),
	}
}

// phaseFrom reads a phase that it does not know as Unknown.
func phaseFrom(p fleetv1.Phase) Phase {
	switch p {
	case fleetv1.Phase_PHASE_ACCEPTED:
		return Accepted
	case fleetv1.Phase_PHASE_REFUSED:
		return Refused
	case fleetv1.Phase_PHASE_APPLIED:
		return Applied
	case fleetv1.Phase_PHASE_CONFIRMED:
		return Confirmed
	case fleetv1.Phase_PHASE_REVERTED:
		return Reverted
	}
	return Unknown
}

func positionFrom(p *fleetv1.Position) bundle.Position {
	return bundle.Position{Epoch: p.GetEpoch(), Generation: p.GetGeneration()}
}

func positionTo(p bundle.Position) *fleetv1.Position {
	return &fleetv1.Position{Epoch: p.Epoch, Generation: p.Generation}
}

func signedTo(b bundle.Signed) *fleetv1.Signed {
	return &fleetv1.Signed{Position: positionTo(b.Position), Digest: b.Digest, Signature: b.Signature, Encoded: b.Encoded}
}

// endpointsTo says how to get from the endpoints that were sent to the present
// ones; from version 0 it says all.
func endpointsTo(sent, now routing.Endpoints, base, version uint64) *fleetv1.Endpoints {
	m := &fleetv1.Endpoints{Version: version, BaseVersion: base, Full: base == 0}
	for _, id := range slices.Sorted(maps.Keys(now)) {
		if m.Full || !slices.Equal(sent[id], now[id]) {
			m.Backends = append(m.Backends, backendTo(id, now[id]))
		}
	}
	for _, id := range slices.Sorted(maps.Keys(sent)) {
		if _, still := now[id]; !still {
			m.Backends = append(m.Backends, backendTo(id, nil))
		}
	}
	return m
}

func backendTo(id string, eps []routing.Endpoint) *fleetv1.BackendEndpoints {
	b := &fleetv1.BackendEndpoints{Id: id}
	for _, e := range eps {
		b.Endpoints = append(b.Endpoints, &fleetv1.Endpoint{Address: e.Address, Port: uint32(e.Port), Task: e.Task})
	}
	return b
}

func equal(a, b routing.Endpoints) bool {
	return maps.EqualFunc(a, b, func(x, y []routing.Endpoint) bool { return slices.Equal(x, y) })
}
