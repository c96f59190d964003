package main

import (
	"fmt"

	"github.com/containernetworking/cni/pkg/types"
	current "github.com/containernetworking/cni/pkg/types/100"
)

// StatusAnnotation is where a pod's networks are reported.
const StatusAnnotation = "k8s.v1.cni.cncf.io/network-status"

// Status is what a pod was given by one network.
type Status struct {
	Name      string    `json:"name"`
	Interface string    `json:"interface,omitempty"`
	IPs       []string  `json:"ips,omitempty"`
	MAC       string    `json:"mac,omitempty"`
	Default   bool      `json:"default,omitempty"`
	DNS       types.DNS `json:"dns"`
}

func statusOf(delegate Delegate, result types.Result, isDefault bool) (Status, error) {
	found, err := current.NewResultFromResult(result)
	if err != nil {
		return Status{}, fmt.Errorf("network %s: its result: %w", delegate.Network, err)
	}
	status := Status{Name: delegate.Network, Interface: delegate.Interface, Default: isDefault, DNS: found.DNS}
	for _, address := range found.IPs {
		status.IPs = append(status.IPs, address.Address.IP.String())
	}
	for _, device := range found.Interfaces {
		if device.Sandbox != "" && device.Name == delegate.Interface {
			status.MAC = device.Mac
		}
	}
	return status, nil
}
