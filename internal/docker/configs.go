package docker

import (
	"context"

	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/client"

	model "interlock/internal/swarm"
)

// The methods below make a Client a store.Backend.

// CreateConfig creates a config object. Its error matches fs.ErrExist when the
// name is taken; after any other error the object may be there all the same.
func (c *Client) CreateConfig(ctx context.Context, name string, labels map[string]string, data []byte) (id string, err error) {
	err = c.call(ctx, "create config "+name, func(ctx context.Context) error {
		created, err := c.api.ConfigCreate(ctx, client.ConfigCreateOptions{Spec: swarm.ConfigSpec{
			Annotations: swarm.Annotations{Name: name, Labels: labels}, Data: data}})
		id = created.ID
		return err
	})
	return id, err
}

// StateConfigs lists the configs that hold state of ours. The Engine's answer
// carries all their data: to be called rarely [E4].
func (c *Client) StateConfigs(ctx context.Context) ([]model.Object, error) {
	raws, err := c.list(ctx, "configs", make(client.Filters).Add("label", StateLabel))
	if err != nil {
		return nil, err
	}
	return each("configs", raws, objectOf)
}

// ReadConfig returns a config's data.
func (c *Client) ReadConfig(ctx context.Context, id string) (data []byte, err error) {
	err = c.call(ctx, "read config "+id, func(ctx context.Context) error {
		found, err := c.api.ConfigInspect(ctx, id, client.ConfigInspectOptions{})
		data = found.Config.Spec.Data
		return err
	})
	return data, err
}

// RemoveConfig removes a config; the Engine refuses while a service uses it.
func (c *Client) RemoveConfig(ctx context.Context, id string) error {
	return c.call(ctx, "remove config "+id, func(ctx context.Context) error {
		_, err := c.api.ConfigRemove(ctx, id, client.ConfigRemoveOptions{})
		return err
	})
}
