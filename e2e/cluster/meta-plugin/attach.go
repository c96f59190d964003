package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/types"
)

// API is what the plugin needs of the cluster.
type API interface {
	// Networks returns the pod's annotation that names its additional networks.
	Networks(ctx context.Context, pod Pod) (string, error)
	// Definition returns spec.config of a NetworkAttachmentDefinition.
	Definition(ctx context.Context, namespace, name string) (string, error)
	// Report writes the pod's annotation that says what it was given.
	Report(ctx context.Context, pod Pod, status []Status) error
}

// Attacher gives pods their networks and takes them away again.
type Attacher struct {
	Config *Config
	API    API
	CNI    *libcni.CNIConfig
}

// Delegate is one network of one pod: whom to call, and with what.
type Delegate struct {
	Network      string          `json:"network"` // as the pod's status names it
	Interface    string          `json:"interface"`
	Config       json.RawMessage `json:"config"`
	Capabilities map[string]any  `json:"capabilities,omitempty"`
}

// Add attaches the pod network and then the pod's own networks, in the order of the annotation; if one fails, all that
// was attached goes again. The result is the pod network's.
func (a *Attacher) Add(ctx context.Context, pod Pod) (types.Result, error) {
	delegates, err := a.delegates(ctx, pod)
	if err != nil {
		return nil, err
	}
	// Written first: a DEL after a crash in the middle finds them all, and plugins accept a DEL without an ADD.
	if err := a.remember(pod, delegates); err != nil {
		return nil, err
	}
	results, err := a.attach(ctx, pod, delegates)
	if err == nil {
		err = a.report(ctx, pod, delegates, results)
	}
	if err != nil {
		return nil, errors.Join(err, a.Del(ctx, pod))
	}
	return results[0], nil
}

func (a *Attacher) attach(ctx context.Context, pod Pod, delegates []Delegate) ([]types.Result, error) {
	var results []types.Result
	for _, delegate := range delegates {
		list, runtime, err := delegate.call(pod)
		if err != nil {
			return nil, err
		}
		result, err := a.CNI.AddNetworkList(ctx, list, runtime)
		if err != nil {
			return nil, fmt.Errorf("network %s: %w", delegate.Network, err)
		}
		results = append(results, result)
	}
	return results, nil
}

func (a *Attacher) report(ctx context.Context, pod Pod, delegates []Delegate, results []types.Result) error {
	var status []Status
	for place, delegate := range delegates {
		entry, err := statusOf(delegate, results[place], place == 0)
		if err != nil {
			return err
		}
		status = append(status, entry)
	}
	return a.API.Report(ctx, pod, status)
}

// Del detaches what Add attached, last first. A network that cannot be detached keeps none of the others.
func (a *Attacher) Del(ctx context.Context, pod Pod) error {
	delegates, err := a.recall(pod)
	if err != nil {
		return err
	}
	var failed []error
	for _, delegate := range slices.Backward(delegates) {
		list, runtime, err := delegate.call(pod)
		if err == nil {
			err = a.CNI.DelNetworkList(ctx, list, runtime)
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("network %s: %w", delegate.Network, err))
		}
	}
	if err := errors.Join(failed...); err != nil {
		return err
	}
	return a.forget(pod)
}

// Check asks every network's plugins whether the pod still has what it was given.
func (a *Attacher) Check(ctx context.Context, pod Pod) error {
	delegates, err := a.recall(pod)
	if err != nil {
		return err
	}
	if len(delegates) == 0 {
		return fmt.Errorf("pod %s/%s was given no network", pod.Namespace, pod.Name)
	}
	for _, delegate := range delegates {
		list, runtime, err := delegate.call(pod)
		if err != nil {
			return err
		}
		if err := a.CNI.CheckNetworkList(ctx, list, runtime); err != nil {
			return fmt.Errorf("network %s: %w", delegate.Network, err)
		}
	}
	return nil
}

// delegates finds out what the pod asks for. Nothing is attached before all of it is known to exist.
func (a *Attacher) delegates(ctx context.Context, pod Pod) ([]Delegate, error) {
	delegates := []Delegate{{Network: a.Config.Name, Interface: pod.IfName, Config: a.Config.ClusterNetwork}}
	annotation, err := a.API.Networks(ctx, pod)
	if err != nil {
		return nil, err
	}
	selections, err := ParseSelections(annotation, pod.Namespace)
	if err != nil {
		return nil, err
	}
	for _, selection := range selections {
		config, err := a.API.Definition(ctx, selection.Namespace, selection.Name)
		if err != nil {
			return nil, fmt.Errorf("network %s: %w", selection, err)
		}
		delegate := Delegate{selection.String(), selection.Interface, json.RawMessage(config), selection.Capabilities()}
		if _, err := delegate.list(); err != nil {
			return nil, err
		}
		delegates = append(delegates, delegate)
	}
	return delegates, nil
}

// call is what libcni needs to call the delegate's plugins for the pod.
func (d Delegate) call(pod Pod) (*libcni.NetworkConfigList, *libcni.RuntimeConf, error) {
	list, err := d.list()
	return list, &libcni.RuntimeConf{
		ContainerID:    pod.ContainerID,
		NetNS:          pod.Netns,
		IfName:         d.Interface,
		Args:           pod.Args,
		CapabilityArgs: d.Capabilities,
	}, err
}
