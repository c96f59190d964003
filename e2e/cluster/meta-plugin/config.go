package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"
)

// Config is what the node's CNI configuration says.
type Config struct {
	types.NetConf
	// Kubeconfig is how to reach the API server.
	Kubeconfig string `json:"kubeconfig"`
	// StateDir keeps which networks a pod was given: DEL works without the API server.
	StateDir string `json:"stateDir"`
	// ClusterNetwork is the pod network's own configuration list.
	ClusterNetwork json.RawMessage `json:"clusterNetwork"`
}

// ParseConfig reads the configuration that the container runtime passes.
func ParseConfig(text []byte) (*Config, error) {
	config := &Config{}
	if err := json.Unmarshal(text, config); err != nil {
		return nil, fmt.Errorf("the configuration of meta-plugin: %w", err)
	}
	switch {
	case config.Kubeconfig == "":
		return nil, errors.New("the configuration of meta-plugin has no kubeconfig")
	case config.StateDir == "":
		return nil, errors.New("the configuration of meta-plugin has no stateDir")
	case len(config.ClusterNetwork) == 0:
		return nil, errors.New("the configuration of meta-plugin has no clusterNetwork")
	}
	return config, nil
}

// Pod is the pod that a call is about, as CNI's parameters name it.
type Pod struct {
	Namespace, Name, UID       string
	ContainerID, Netns, IfName string
	Args                       [][2]string
}

type podArgs struct {
	types.CommonArgs
	K8S_POD_NAMESPACE          types.UnmarshallableString
	K8S_POD_NAME               types.UnmarshallableString
	K8S_POD_UID                types.UnmarshallableString
	K8S_POD_INFRA_CONTAINER_ID types.UnmarshallableString
}

// ParsePod reads CNI_ARGS as kubelets fill them.
func ParsePod(args *skel.CmdArgs) (Pod, error) {
	found := podArgs{CommonArgs: types.CommonArgs{IgnoreUnknown: true}}
	if err := types.LoadArgs(args.Args, &found); err != nil {
		return Pod{}, fmt.Errorf("CNI_ARGS: %w", err)
	}
	if found.K8S_POD_NAMESPACE == "" || found.K8S_POD_NAME == "" {
		return Pod{}, errors.New("CNI_ARGS names no pod: K8S_POD_NAMESPACE and K8S_POD_NAME are needed")
	}
	return Pod{
		Namespace:   string(found.K8S_POD_NAMESPACE),
		Name:        string(found.K8S_POD_NAME),
		UID:         string(found.K8S_POD_UID),
		ContainerID: args.ContainerID,
		Netns:       args.Netns,
		IfName:      args.IfName,
		Args: [][2]string{
			{"IgnoreUnknown", "1"},
			{"K8S_POD_NAMESPACE", string(found.K8S_POD_NAMESPACE)},
			{"K8S_POD_NAME", string(found.K8S_POD_NAME)},
			{"K8S_POD_INFRA_CONTAINER_ID", string(found.K8S_POD_INFRA_CONTAINER_ID)},
			{"K8S_POD_UID", string(found.K8S_POD_UID)},
		},
	}, nil
}

// PluginPath is where the plugins are that we call: where we are ourselves.
func PluginPath(args *skel.CmdArgs) []string {
	return filepath.SplitList(args.Path)
}
