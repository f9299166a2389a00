package docker

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/moby/moby/client"
)

// event is a hint that an object changed. There are none about tasks.
type event struct {
	kind, action, id, name string
}

// events subscribes to what concerns the Swarm. When it returns without error
// the subscription stands: what happens from then on is sent. The channel is
// closed when the stream ends. A reader that is too slow makes the Engine wait.
func (c *Client) events(ctx context.Context) (<-chan event, error) {
	ctx, cancel := context.WithCancel(ctx)
	deadline := time.AfterFunc(c.deadline, cancel)
	result := c.api.Events(ctx, client.EventsListOptions{Filters: make(client.Filters).
		Add("type", "service", "node", "network", "secret", "config").Add("scope", "swarm")})
	if !deadline.Stop() {
		return nil, fmt.Errorf("docker: subscribe to events: no answer in %s", c.deadline)
	}
	select {
	case err := <-result.Err:
		cancel()
		return nil, fmt.Errorf("docker: subscribe to events: %w", err)
	default:
	}
	out := make(chan event)
	go func() {
		defer cancel()
		defer close(out)
		for {
			select {
			case m := <-result.Messages:
				e := event{string(m.Type), string(m.Action), m.Actor.ID, m.Actor.Attributes["name"]}
				select {
				case out <- e:
				case <-ctx.Done():
					return
				}
			case <-result.Err:
				return
			}
		}
	}()
	return out, nil
}

// ofState says whether the event is about an object of ours that holds state:
// our own writing is no news.
func (e event) ofState() bool { return e.kind == "config" && strings.HasPrefix(e.name, "il.") }
