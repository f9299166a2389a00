package runfolder

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"interlock/routing"
)

func TestRoundTrip(t *testing.T) {
	f := Folder(t.TempDir())
	if life, err := f.Life(); err != nil || life != (Life{}) {
		t.Errorf("an empty folder has %v, %v", life, err)
	}
	if eps, err := f.Endpoints(); err != nil || eps != nil {
		t.Errorf("an empty folder has %v, %v", eps, err)
	}
	want := Life{PID: 7, Deaths: 3, QuickDeaths: 1}
	if err := f.SetLife(want); err != nil {
		t.Fatal(err)
	}
	if life, err := f.Life(); err != nil || life != want {
		t.Errorf("life is %v, %v", life, err)
	}
	eps := routing.Endpoints{"be_1": {{Address: "10.0.0.1", Port: 80, Task: "t"}}}
	if err := f.SetEndpoints(eps); err != nil {
		t.Fatal(err)
	}
	if got, err := f.Endpoints(); err != nil || cmp.Diff(eps, got) != "" {
		t.Errorf("endpoints are %v, %v", got, err)
	}
	if err := f.SetDraining(); err != nil || !f.Draining() {
		t.Errorf("it does not drain: %v", err)
	}
	if err := os.WriteFile(f.Path(engine), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Life(); err == nil {
		t.Error("a broken file was read")
	}
}
