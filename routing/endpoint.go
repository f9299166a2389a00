package routing

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
)

// Endpoint is one target of a backend: a task's address on the backend's
// network and the port that the spec the task was made from names.
type Endpoint struct {
	Address string `json:"address"`
	Port    int    `json:"port"`
	// Task is the id of the Swarm task, "" for a virtual address.
	Task string `json:"task,omitempty"`
}

// Endpoints are the present targets of each backend, by backend id. A backend
// that is absent has none. They are a stream of their own beside the table:
// never stored, never part of a generation (I15).
type Endpoints map[string][]Endpoint

// BackendID is the stable id of a backend: it depends on nothing but the
// service's id, the route's name ("" for a service's only route) and the port.
// It is safe in every engine's configuration: "be_" and 16 hex digits.
func BackendID(serviceID, route string, port int) string {
	sum := sha256.Sum256([]byte(serviceID + "\x00" + route + "\x00" + strconv.Itoa(port)))
	return "be_" + hex.EncodeToString(sum[:8])
}
