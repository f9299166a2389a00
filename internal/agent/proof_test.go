package agent

import (
	"testing"

	"interlock/bundle"
)

// TestHelloProvesWhatIsConfirmed: core believes a position that it has signed,
// also after the agent was started anew from its disk.
func TestHelloProvesWhatIsConfirmed(t *testing.T) {
	r := newRig(t)
	r.start()
	r.confirmed(r.core.talk(), 1)
	r.stop()
	r.start()
	h := r.core.talk().hello
	claim := bundle.Signed{
		Cluster: "dev", Position: positionFrom(h.GetConfirmed()), Digest: h.GetConfirmedDigest(), Signature: h.GetConfirmedSignature(),
	}
	if err := claim.VerifyClaim(r.root.VerifyKey(), "dev"); err != nil || claim.Position.Generation != 1 {
		t.Errorf("%v does not prove itself: %v", h, err)
	}
}
