package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"regexp"
	"strings"
)

// NetworksAnnotation is where a pod names its additional networks.
const NetworksAnnotation = "k8s.v1.cni.cncf.io/networks"

// maxInterfaceName is Linux's IFNAMSIZ without the closing zero.
const maxInterfaceName = 15

var objectName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`)

// Selection is one network that a pod asks for.
type Selection struct {
	Name      string   `json:"name"`
	Namespace string   `json:"namespace,omitempty"`
	Interface string   `json:"interface,omitempty"`
	IPs       []string `json:"ips,omitempty"`
	MAC       string   `json:"mac,omitempty"`
}

func (s Selection) String() string { return s.Namespace + "/" + s.Name }

// ParseSelections reads the annotation in either form: `namespace/name@interface, ...` or a JSON list. Networks without
// a namespace are the pod's; interfaces without a name are net1, net2, ... by their place.
func ParseSelections(annotation, namespace string) ([]Selection, error) {
	found, err := parseEither(strings.TrimSpace(annotation))
	if err != nil {
		return nil, fmt.Errorf("annotation %s: %w", NetworksAnnotation, err)
	}
	taken := map[string]bool{"eth0": true, "lo": true}
	for place := range found {
		selection := &found[place]
		if selection.Namespace == "" {
			selection.Namespace = namespace
		}
		if selection.Interface == "" {
			selection.Interface = fmt.Sprintf("net%d", place+1)
		}
		if err := selection.validate(); err != nil {
			return nil, fmt.Errorf("annotation %s, network %d: %w", NetworksAnnotation, place+1, err)
		}
		if taken[selection.Interface] {
			return nil, fmt.Errorf("annotation %s, network %d: interface %q is taken already",
				NetworksAnnotation, place+1, selection.Interface)
		}
		taken[selection.Interface] = true
	}
	return found, nil
}

func parseEither(text string) ([]Selection, error) {
	if text == "" {
		return nil, nil
	}
	if strings.HasPrefix(text, "[") {
		return parseJSON(text)
	}
	var found []Selection
	for item := range strings.SplitSeq(text, ",") {
		selection, err := parseShort(strings.TrimSpace(item))
		if err != nil {
			return nil, err
		}
		found = append(found, selection)
	}
	return found, nil
}

// parseJSON refuses keys that this plugin does not know: what is asked for must not be left out in silence.
func parseJSON(text string) ([]Selection, error) {
	var found []Selection
	decoder := json.NewDecoder(bytes.NewReader([]byte(text)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&found); err != nil {
		return nil, err
	}
	if decoder.More() {
		return nil, fmt.Errorf("something follows the list")
	}
	return found, nil
}

func parseShort(item string) (Selection, error) {
	network, name, hasInterface := strings.Cut(item, "@")
	if hasInterface && name == "" {
		return Selection{}, fmt.Errorf("%q has no interface after @", item)
	}
	namespace, rest, hasNamespace := strings.Cut(network, "/")
	if !hasNamespace {
		return Selection{Name: network, Interface: name}, nil
	}
	if namespace == "" {
		return Selection{}, fmt.Errorf("%q has no namespace before /", item)
	}
	return Selection{Namespace: namespace, Name: rest, Interface: name}, nil
}

func (s Selection) validate() error {
	if !objectName.MatchString(s.Name) {
		return fmt.Errorf("name %q is not a name of an object", s.Name)
	}
	if !objectName.MatchString(s.Namespace) {
		return fmt.Errorf("namespace %q is not a name of an object", s.Namespace)
	}
	if len(s.Interface) > maxInterfaceName || strings.ContainsAny(s.Interface, "/: \t") || s.Interface[0] == '.' {
		return fmt.Errorf("interface %q is not a name of an interface", s.Interface)
	}
	for _, address := range s.IPs {
		if _, _, err := net.ParseCIDR(address); err != nil && net.ParseIP(address) == nil {
			return fmt.Errorf("ips: %q is not an address", address)
		}
	}
	if _, err := net.ParseMAC(s.MAC); s.MAC != "" && err != nil {
		return fmt.Errorf("mac: %q is not a MAC address", s.MAC)
	}
	return nil
}

// Capabilities are what the standard has plugins told about a selection: those with the matching capability get them.
func (s Selection) Capabilities() map[string]any {
	capabilities := map[string]any{}
	if len(s.IPs) > 0 {
		capabilities["ips"] = s.IPs
	}
	if s.MAC != "" {
		capabilities["mac"] = s.MAC
	}
	return capabilities
}
