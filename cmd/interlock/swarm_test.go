package main

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"interlock/internal/provision"
)

// fakeSwarm is an Engine's API that answers lists, given as JSON by path, and
// returns its address for --host. What is not given is an empty list.
func fakeSwarm(t *testing.T, lists map[string]string) string {
	t.Helper()
	versioned := regexp.MustCompile(`^/v[0-9.]+`)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Api-Version", "1.47")
		w.Header().Set("Content-Type", "application/json")
		path := versioned.ReplaceAllString(r.URL.Path, "")
		text, ok := lists[path]
		switch {
		case ok && json.Valid([]byte(text)):
			w.Write([]byte(text))
		case ok:
			w.WriteHeader(http.StatusServiceUnavailable)
			json.NewEncoder(w).Encode(map[string]string{"message": text})
		case path == "/_ping":
			w.Write([]byte("OK"))
		default:
			w.Write([]byte("[]"))
		}
	}))
	t.Cleanup(srv.Close)
	return "tcp://" + strings.TrimPrefix(srv.URL, "http://")
}

// coreService is core's service with a number of replicas and its config.
func coreService(replicas string) string {
	return `[{"ID":"c1","Spec":{"Name":"interlock-core","Labels":{"com.docker.interlock.managed":"true"},
		"Mode":{"Replicated":{"Replicas":` + replicas + `}},
		"TaskTemplate":{"ContainerSpec":{"Image":"interlock:1","Env":["INTERLOCK_IMAGE=interlock:1"]}}}}]`
}

// failure runs a verb and returns its exit code, message and hint.
func failure(t *testing.T, args ...string) (code int, message, hint string) {
	t.Helper()
	root := newRootCommand()
	var out strings.Builder
	root.SetArgs(args)
	root.SetOut(&out)
	root.SetErr(&out)
	err := root.ExecuteContext(t.Context())
	if err == nil {
		return 0, out.String(), ""
	}
	var exit *exitError
	if errors.As(err, &exit) {
		return exit.code, out.String() + err.Error(), exit.hint
	}
	return exitUsage, out.String() + err.Error(), ""
}

const (
	node1  = `[{"ID":"n1","Description":{"Hostname":"node1"},"Spec":{"Role":"manager","Availability":"active"},"Status":{"State":"ready"}}]`
	failed = `[{"ID":"t1","ServiceID":"c1","NodeID":"n1","DesiredState":"shutdown","UpdatedAt":"2026-01-02T03:04:05Z",
		"Status":{"State":"failed","Err":"task: non-zero exit (2)"}}]`
	running = `[{"ID":"t1","ServiceID":"c1","NodeID":"n1","DesiredState":"running","UpdatedAt":"2026-01-02T03:04:05Z",
		"Status":{"State":"running"}}]`
)

// TestCoreOutOfReach: a verb that can't ask core says why, and what to do.
func TestCoreOutOfReach(t *testing.T) {
	for _, c := range []struct {
		name          string
		lists         map[string]string
		message, hint string
	}{
		{"no core", nil, "there is no service interlock-core", "interlock install"},
		{"scaled down", map[string]string{"/services": coreService("0")},
			"interlock-core does not run (0 replicas)", "docker service scale interlock-core=1"},
		{"failing", map[string]string{"/services": coreService("1"), "/nodes": node1, "/tasks": failed},
			"its last task is failed: task: non-zero exit (2)", "docker service logs interlock-core"},
		{"elsewhere", map[string]string{"/services": coreService("1"), "/nodes": node1, "/tasks": running},
			"core runs on node node1", "--host ssh://node1"},
		{"not a manager", map[string]string{"/services": "This node is not a swarm manager."},
			"no container of the service runs on this node", "point DOCKER_HOST or a context at a manager"},
	} {
		host := fakeSwarm(t, c.lists)
		for _, args := range [][]string{{"status"}, {"status", "--wait", "--timeout", "1s"}} {
			code, message, hint := failure(t, append(args, "--host", host)...)
			if code != exitUsage || !strings.Contains(message, c.message) || !strings.Contains(hint, c.hint) {
				t.Errorf("%s: %v: %d %q, hint %q", c.name, args, code, message, hint)
			}
			if strings.Contains(message, "http://") || strings.Contains(message, "deadline") {
				t.Errorf("%s: %v: noise in %q", c.name, args, message)
			}
		}
	}
}

// TestPlanJSON: lists are arrays also when they are empty.
func TestPlanJSON(t *testing.T) {
	var out strings.Builder
	if err := writePlan(&out, provision.Plan{}, "json"); err != nil {
		t.Fatal(err)
	}
	if text := out.String(); !strings.Contains(text, `"actions": []`) || !strings.Contains(text, `"problems": []`) {
		t.Error(text)
	}
}

// TestPlanWithoutCore: nothing is as it should be while core does not run.
func TestPlanWithoutCore(t *testing.T) {
	config := t.TempDir() + "/config.toml"
	if err := os.WriteFile(config, []byte("[Extensions.default]\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	lists := map[string]string{"/services": coreService("0"), "/nodes": node1}
	code, message, _ := failure(t, "plan", "--config", config, "--host", fakeSwarm(t, lists))
	for _, want := range []string{"interlock-core does not run (0 replicas)", "docker service scale interlock-core=1", "[core-not-running]"} {
		if code != exitFindings || !strings.Contains(message, want) {
			t.Errorf("exit %d, no %q in\n%s", code, want, message)
		}
	}
	lists["/services"], lists["/tasks"] = coreService("1"), running
	if _, message, _ = failure(t, "plan", "--config", config, "--host", fakeSwarm(t, lists)); strings.Contains(message, "core-not-running") {
		t.Errorf("core runs, and plan says\n%s", message)
	}
	lists["/services"] = strings.ReplaceAll(coreService("1"), "interlock-core", "interlock-proxy-dev")
	code, message, hint := failure(t, "plan", "--config", config, "--host", fakeSwarm(t, lists))
	if code != exitFindings || !strings.Contains(message, "there is no service interlock-core") || !strings.Contains(hint, "interlock install") {
		t.Errorf("core's service is gone: exit %d, %q, hint %q", code, message, hint)
	}
}
