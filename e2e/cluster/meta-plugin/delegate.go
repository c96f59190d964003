package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/containernetworking/cni/libcni"
)

// list reads the network's configuration: a list of plugins, or a single one. A configuration without a name has the
// name of its NetworkAttachmentDefinition.
func (d Delegate) list() (*libcni.NetworkConfigList, error) {
	list, err := parseList(d.Config, d.Network[strings.Index(d.Network, "/")+1:])
	if err != nil {
		return nil, fmt.Errorf("network %s: spec.config: %w", d.Network, err)
	}
	return list, nil
}

func parseList(text []byte, name string) (*libcni.NetworkConfigList, error) {
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(text, &fields); err != nil {
		return nil, err
	}
	if _, named := fields["name"]; !named {
		fields["name"], _ = json.Marshal(name)
	}
	whole, err := json.Marshal(fields)
	if err != nil {
		return nil, err
	}
	if _, isList := fields["plugins"]; isList {
		return libcni.NetworkConfFromBytes(whole)
	}
	plugin, err := libcni.NetworkPluginConfFromBytes(whole)
	if err != nil {
		return nil, err
	}
	return libcni.ConfListFromConf(plugin)
}
