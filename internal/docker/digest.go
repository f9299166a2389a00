package docker

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
)

// digester names task templates by content. The Engine writes the template of a
// service and of its tasks the same way, except for Runtime, which only the
// service's has (seen with 20.10); fields that are empty count as missing.
type digester struct {
	// seen maps a template's bytes to its name: tasks far outnumber templates.
	seen map[[sha256.Size]byte]string
}

// digesterMax bounds the memory of a digester that lives as long as core.
const digesterMax = 50_000

func newDigester() *digester { return &digester{seen: map[[sha256.Size]byte]string{}} }

// digest returns "" for a template that is missing or no JSON object.
func (d *digester) digest(template json.RawMessage) string {
	if len(template) == 0 {
		return ""
	}
	key := sha256.Sum256(template)
	if name, ok := d.seen[key]; ok {
		return name
	}
	if len(d.seen) >= digesterMax {
		clear(d.seen)
	}
	name := digestOf(template)
	d.seen[key] = name
	return name
}

func digestOf(template json.RawMessage) string {
	var object map[string]any
	decoder := json.NewDecoder(bytes.NewReader(template))
	decoder.UseNumber()
	if decoder.Decode(&object) != nil || object == nil {
		return ""
	}
	if stand, ok := object[digestKey].(string); ok {
		return stand
	}
	delete(object, "Runtime")
	canonical, err := json.Marshal(pruned(object))
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(canonical)
	return hex.EncodeToString(sum[:12])
}

// pruned drops what is empty; encoding/json sorts keys.
func pruned(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for key, member := range v {
			if member = pruned(member); member == nil {
				delete(v, key)
			} else {
				v[key] = member
			}
		}
		if len(v) == 0 {
			return nil
		}
	case []any:
		if len(v) == 0 {
			return nil
		}
		for i := range v {
			v[i] = pruned(v[i])
		}
	case string:
		if v == "" {
			return nil
		}
	case bool:
		if !v {
			return nil
		}
	case json.Number:
		if v == "0" {
			return nil
		}
	}
	return value
}
