package docker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"

	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/client"

	"interlock/internal/provision"
)

// Mint makes the content of an identity's secret. Only core can.
type Mint func(uri string) ([]byte, error)

// Apply does one step of a plan. A thing to create that exists already is no
// error: another core, or an earlier attempt whose answer was lost, made it.
// A service is changed only if nobody changed it since the plan was made.
func (c *Client) Apply(ctx context.Context, a provision.Action, mint Mint) error {
	var err error
	switch a.Kind {
	case provision.CreateNetwork:
		err = c.createNetwork(ctx, *a.Network)
	case provision.CreateIdentity:
		err = c.createIdentity(ctx, a, mint)
	case provision.CreateConfig:
		_, err = c.CreateConfig(ctx, a.Name, a.Labels, a.Data)
	case provision.RemoveConfig:
		if err = c.RemoveConfig(ctx, a.ID); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	case provision.CreateService:
		err = c.createService(ctx, *a.Service)
	case provision.UpdateService, provision.UndoService:
		return c.updateService(ctx, a)
	default:
		return fmt.Errorf("docker: %q is not a kind of action", a.Kind)
	}
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

func (c *Client) createNetwork(ctx context.Context, n provision.Network) error {
	subnet, err := netip.ParsePrefix(n.Subnet)
	if err != nil {
		return fmt.Errorf("create network %s: %w", n.Name, err)
	}
	return c.call(ctx, "create network "+n.Name, func(ctx context.Context) error {
		_, err := c.api.NetworkCreate(ctx, n.Name, client.NetworkCreateOptions{
			Driver: "overlay", Scope: "swarm", Attachable: n.Attachable, Labels: n.Labels,
			IPAM: &network.IPAM{Driver: "default", Config: []network.IPAMConfig{{Subnet: subnet}}},
		})
		return err
	})
}

func (c *Client) createIdentity(ctx context.Context, a provision.Action, mint Mint) error {
	data, err := mint(a.Identity)
	if err != nil {
		return fmt.Errorf("create secret %s: %w", a.Name, err)
	}
	return c.CreateSecret(ctx, a.Name, a.Labels, data)
}

// CreateSecret creates a secret; the error matches fs.ErrExist when the name is
// taken.
func (c *Client) CreateSecret(ctx context.Context, name string, labels map[string]string, data []byte) error {
	return c.call(ctx, "create secret "+name, func(ctx context.Context) error {
		_, err := c.api.SecretCreate(ctx, client.SecretCreateOptions{Spec: swarm.SecretSpec{
			Annotations: swarm.Annotations{Name: name, Labels: labels}, Data: data}})
		return err
	})
}

func (c *Client) createService(ctx context.Context, s provision.Service) error {
	spec, err := c.specOf(ctx, s)
	if err != nil {
		return fmt.Errorf("create service %s: %w", s.Name, err)
	}
	return c.call(ctx, "create service "+s.Name, func(ctx context.Context) error {
		_, err := c.api.ServiceCreate(ctx, client.ServiceCreateOptions{Spec: spec})
		return err
	})
}

// updateService carries over what is on the service and not ours to decide:
// labels of other tools, the count of forced updates.
func (c *Client) updateService(ctx context.Context, a provision.Action) error {
	spec, err := c.specOf(ctx, *a.Service)
	if err != nil {
		return fmt.Errorf("update service %s: %w", a.Name, err)
	}
	return c.call(ctx, "update service "+a.Name, func(ctx context.Context) error {
		found, err := c.api.ServiceInspect(ctx, a.ID, client.ServiceInspectOptions{})
		if err != nil {
			return err
		}
		for key, value := range found.Service.Spec.Labels {
			if _, ok := spec.Labels[key]; !ok && !ownLabel(key) {
				spec.Labels[key] = value
			}
		}
		spec.TaskTemplate.ForceUpdate = found.Service.Spec.TaskTemplate.ForceUpdate
		_, err = c.api.ServiceUpdate(ctx, a.ID, client.ServiceUpdateOptions{
			Version: swarm.Version{Index: a.Version}, Spec: spec})
		return err
	})
}

// RemoveService, RemoveSecret and RemoveNetwork remove by id or name. What does
// not exist any more is an error that matches fs.ErrNotExist.
func (c *Client) RemoveService(ctx context.Context, id string) error {
	return c.call(ctx, "remove service "+id, func(ctx context.Context) error {
		_, err := c.api.ServiceRemove(ctx, id, client.ServiceRemoveOptions{})
		return err
	})
}

// RemoveSecret is described with RemoveService.
func (c *Client) RemoveSecret(ctx context.Context, id string) error {
	return c.call(ctx, "remove secret "+id, func(ctx context.Context) error {
		_, err := c.api.SecretRemove(ctx, id, client.SecretRemoveOptions{})
		return err
	})
}

// RemoveNetwork is described with RemoveService.
func (c *Client) RemoveNetwork(ctx context.Context, id string) error {
	return c.call(ctx, "remove network "+id, func(ctx context.Context) error {
		_, err := c.api.NetworkRemove(ctx, id, client.NetworkRemoveOptions{})
		return err
	})
}
