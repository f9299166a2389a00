package docker

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"interlock/internal/swarm"
)

// SnapshotMax bounds a snapshot file in bytes.
const SnapshotMax = 1 << 30

// redacted stands for a value that a snapshot does not show.
const redacted = "redacted"

// digestKey is added to redacted task templates: two that differ only in what
// is not shown must still differ. The value is keyed with a random key that is
// thrown away, so that nobody can guess at the hidden part with it.
const digestKey = "InterlockDigest"

// ReadSnapshot reads what WriteSnapshot wrote, or a file of that format made
// otherwise: lists and fields may be missing. An object that can't be read is
// an error that names it.
func ReadSnapshot(r io.Reader) (swarm.Snapshot, error) {
	lists, err := ReadLists(r)
	if err != nil {
		return swarm.Snapshot{}, err
	}
	s, err := lists.Snapshot()
	if err != nil {
		return s, fmt.Errorf("read snapshot: %w", err)
	}
	return s, nil
}

// ReadLists is ReadSnapshot without the conversion.
func ReadLists(r io.Reader) (Lists, error) {
	var lists Lists
	limited := &io.LimitedReader{R: r, N: SnapshotMax}
	if err := json.NewDecoder(limited).Decode(&lists); err != nil {
		if limited.N <= 0 {
			return lists, fmt.Errorf("read snapshot: more than %d bytes", SnapshotMax)
		}
		return lists, fmt.Errorf("read snapshot: %w", err)
	}
	return lists, nil
}

// WriteSnapshot writes the lists without what others may keep secret: data of
// configs, environment, arguments, commands, health tests, and labels that have
// nothing to do with routing.
func WriteSnapshot(w io.Writer, lists Lists) error {
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return fmt.Errorf("write snapshot: %w", err)
	}
	r := redactor{key: key}
	var out Lists
	for _, l := range []struct {
		from []json.RawMessage
		to   *[]json.RawMessage
	}{
		{lists.Services, &out.Services}, {lists.Tasks, &out.Tasks}, {lists.Nodes, &out.Nodes},
		{lists.Networks, &out.Networks}, {lists.Secrets, &out.Secrets}, {lists.Configs, &out.Configs},
	} {
		*l.to = []json.RawMessage{}
		for _, raw := range l.from {
			clean, err := r.object(raw)
			if err != nil {
				return fmt.Errorf("write snapshot: %w", err)
			}
			*l.to = append(*l.to, clean)
		}
	}
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	return encoder.Encode(out)
}

type redactor struct{ key []byte }

func (r redactor) object(raw json.RawMessage) (json.RawMessage, error) {
	var v any
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	if err := decoder.Decode(&v); err != nil {
		return nil, err
	}
	state := ownState(v)
	r.walk(v)
	if spec := member(v, "Spec"); state != nil && spec != nil {
		spec["Data"] = state
	}
	return json.Marshal(v)
}

// ownState is the data of a config that holds state of ours, which says
// nothing that the labels do not; nil for anything else. The operator's
// config.toml is not among them: it may hold passwords.
func ownState(v any) any {
	spec := member(v, "Spec")
	if _, ok := member(map[string]any(spec), "Labels")[StateLabel]; !ok {
		return nil
	}
	return spec["Data"]
}

func member(v any, key string) map[string]any {
	object, _ := v.(map[string]any)
	inner, _ := object[key].(map[string]any)
	return inner
}

// secretKeys are members that are hidden wherever they occur.
var secretKeys = map[string]bool{
	"Env": true, "Args": true, "Command": true, "Test": true, "Data": true,
	// Not in the list of design §6, but as revealing.
	"Options": true, "DriverOpts": true, "Sysctls": true, "Hosts": true, "TrustRoot": true,
	"CertIssuerSubject": true, "CertIssuerPublicKey": true, "JoinTokens": true, "Source": true,
}

// walk redacts below v, in place. Lists stay lists, so that the objects remain
// the Engine API's.
func (r redactor) walk(v any) {
	switch v := v.(type) {
	case []any:
		for _, member := range v {
			r.walk(member)
		}
	case map[string]any:
		if template := isTemplate(v); template && v[digestKey] == nil {
			v[digestKey] = r.name(v)
		}
		for key, member := range v {
			switch {
			case secretKeys[key]:
				v[key] = hide(member)
			case key == "Labels":
				hideLabels(member)
			default:
				r.walk(member)
			}
		}
	}
}

// isTemplate recognises a task template: a service's and a task's.
func isTemplate(v map[string]any) bool {
	_, container := v["ContainerSpec"]
	return container
}

// name is the keyed digest of a template, the same for a service's and a task's.
func (r redactor) name(template map[string]any) string {
	encoded, err := json.Marshal(template)
	if err != nil {
		return ""
	}
	mac := hmac.New(sha256.New, r.key)
	mac.Write([]byte(digestOf(encoded)))
	return hex.EncodeToString(mac.Sum(nil)[:12])
}

func hide(v any) any {
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		if len(v) == 0 {
			return v
		}
		return []any{redacted}
	case map[string]any:
		for key := range v {
			v[key] = redacted
		}
		return v
	}
	return redacted
}

// hideLabels keeps the keys, and the values that routing reads.
func hideLabels(v any) {
	labels, ok := v.(map[string]any)
	if !ok {
		return
	}
	for key := range labels {
		if !routingLabel(key) {
			labels[key] = redacted
		}
	}
}

func routingLabel(key string) bool {
	return strings.HasPrefix(key, "com.docker.lb.") ||
		strings.HasPrefix(key, "com.docker.interlock.") ||
		key == swarm.CollectionLabel || key == swarm.StackLabel
}
