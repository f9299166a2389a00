package docs_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// recorder stands in for docker: it answers inspect with names of labels, some
// of them hostile, and writes the arguments of update, one in each line.
const recorder = `#!/bin/sh
case "$2" in
inspect)
	printf '%s\n' 'com.docker.lb.hosts' 'com.docker.lb.a b; touch harm' 'Com.Docker.LB.port' \
		'com.docker.lb.$(touch harm)' 'com.docker.stack.namespace' 'xcom.docker.lb.port' '--force' ;;
update)
	shift 2
	printf '%s\n' "$@" >updated ;;
esac
`

// TestTakingOut runs what operating.md tells to do: it removes all routing
// labels of a service, no other one, and runs no text of a label's name.
func TestTakingOut(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"docker": recorder, "interlock": "#!/bin/sh\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-c", takingOut(t))
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"))
	if out, _ := cmd.CombinedOutput(); len(out) > 0 { // grep ends with 1: nothing is routed
		t.Errorf("it prints %s", out)
	}
	want := `shop_web
--label-rm=com.docker.lb.hosts
--label-rm=com.docker.lb.a b; touch harm
--label-rm=Com.Docker.LB.port
--label-rm=com.docker.lb.$(touch harm)
`
	if diff := cmp.Diff(want, read(t, filepath.Join(dir, "updated"))); diff != "" {
		t.Error(diff)
	}
	if _, err := os.Stat(filepath.Join(dir, "harm")); err == nil {
		t.Error("a label's name was run")
	}
}

func takingOut(t *testing.T) string {
	t.Helper()
	for _, b := range blocks(t) {
		if strings.HasPrefix(b.at, "operating.md") && strings.Contains(b.text, "--label-rm=") {
			return b.text
		}
	}
	t.Fatal("operating.md does not say how to take a service out")
	return ""
}
