package haproxy

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// confess is what the judge runs in place of HAProxy: it tries what a judge
// must not be able to do and says how that went.
func confess(config string) {
	for name, domain := range map[string]int{"inet": unix.AF_INET, "inet6": unix.AF_INET6, "netlink": unix.AF_NETLINK, "packet": unix.AF_PACKET, "unix": unix.AF_UNIX} {
		fd, err := unix.Socket(domain, unix.SOCK_DGRAM, 0)
		fmt.Println(name, err == nil)
		unix.Close(fd)
	}
	_, err := os.ReadFile(config)
	fmt.Println("secret", err == nil)
	fmt.Println("root", os.Geteuid() == 0 || os.Getegid() == 0)
	fmt.Println("environment", len(os.Environ()) > 0)
	err = os.WriteFile(filepath.Join(filepath.Dir(config), "left"), []byte("x"), 0o600)
	fmt.Println("write", err == nil)
	var files unix.Rlimit
	fmt.Println("limits", unix.Getrlimit(unix.RLIMIT_CPU, &files) != nil || files.Max != 10)
}

// TestJudgeHasNothing: no network, no privileges, no environment, no secret.
func TestJudgeHasNothing(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("this test needs root, as a proxy's agent is")
	}
	dir, err := os.MkdirTemp("", "il")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	// The test's own program is where only root may look.
	program := filepath.Join(dir, "program")
	if err := copyFile(program, os.Args[0]); err != nil {
		t.Fatal(err)
	}
	secret := filepath.Join(dir, "identity")
	if err := os.WriteFile(secret, []byte("secret"), 0o400); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "judge", program, secret)
	cmd.Env = []string{}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	seen := 0
	for line := range strings.Lines(string(out)) {
		what, can, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok {
			continue
		}
		if seen++; (can == "true") != (what == "unix") {
			t.Errorf("%s: %s", what, can)
		}
	}
	if seen != 10 {
		t.Errorf("the judge said: %s", out)
	}
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	defer out.Close()
	_, err = io.Copy(out, in)
	return err
}
