package agent

import (
	"strings"
	"time"

	"interlock/bundle"
	fleetv1 "interlock/proto/fleet/v1"
	"interlock/routing"
)

// eventOf is what a message means to the loop; nil for one it does not know,
// which is of a newer core.
func eventOf(s *session, m *fleetv1.FromCore) event {
	switch k := m.GetKind().(type) {
	case *fleetv1.FromCore_Judge:
		return judgeRequest{s, k.Judge.GetId(), k.Judge.GetEncoded()}
	case *fleetv1.FromCore_Offer:
		return offered{s, signedFrom(k.Offer.GetBundle()), time.Duration(k.Offer.GetConfirmWithinMs()) * time.Millisecond}
	case *fleetv1.FromCore_Confirm:
		return confirm{s, positionFrom(k.Confirm.GetPosition())}
	case *fleetv1.FromCore_Withdraw:
		return withdraw{s, positionFrom(k.Withdraw.GetPosition()), k.Withdraw.GetReason()}
	case *fleetv1.FromCore_Endpoints:
		return endpointsFrom(s, k.Endpoints)
	case *fleetv1.FromCore_Drain:
		return drain{k.Drain.GetReason()}
	}
	return nil
}

func positionFrom(p *fleetv1.Position) bundle.Position {
	return bundle.Position{Epoch: p.GetEpoch(), Generation: p.GetGeneration()}
}

func positionTo(p bundle.Position) *fleetv1.Position {
	return &fleetv1.Position{Epoch: p.Epoch, Generation: p.Generation}
}

// signedFrom leaves the cluster out: it is never a message's to say.
func signedFrom(m *fleetv1.Signed) bundle.Signed {
	return bundle.Signed{Position: positionFrom(m.GetPosition()), Digest: m.GetDigest(), Signature: m.GetSignature(), Encoded: m.GetEncoded()}
}

func endpointsFrom(s *session, m *fleetv1.Endpoints) received {
	r := received{from: s, version: m.GetVersion(), base: m.GetBaseVersion(), full: m.GetFull(), changed: routing.Endpoints{}}
	for _, b := range m.GetBackends() {
		list := make([]routing.Endpoint, 0, len(b.GetEndpoints()))
		for _, e := range b.GetEndpoints() {
			list = append(list, routing.Endpoint{Address: e.GetAddress(), Port: int(e.GetPort()), Task: e.GetTask()})
		}
		r.changed[b.GetId()] = list
	}
	return r
}

func reportOf(id string, b bundle.Signed, phase fleetv1.Phase, words string) *fleetv1.FromAgent {
	if len(words) > maxWords {
		words = words[:maxWords]
	}
	return &fleetv1.FromAgent{Kind: &fleetv1.FromAgent_Report{Report: &fleetv1.Report{
		Id: id, Position: positionTo(b.Position), Digest: b.Digest, Phase: phase, Message: strings.ToValidUTF8(words, "?"),
	}}}
}
