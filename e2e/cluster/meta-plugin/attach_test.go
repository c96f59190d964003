package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/version"
)

var pod = Pod{
	Namespace: "fleet", Name: "relay-1", UID: "u1", ContainerID: "c1", Netns: "/run/netns/c1", IfName: "eth0",
	Args: [][2]string{{"K8S_POD_NAME", "relay-1"}},
}

func TestAddAttachesInOrderAndReports(t *testing.T) {
	world := newWorld(t, "ipv4, other/ipv6@six")
	world.define("fleet/ipv4", `{"cniVersion": "1.0.0", "type": "macvlan"}`)
	world.define("other/ipv6", `{"cniVersion": "1.0.0", "plugins": [{"type": "host-device"}, {"type": "tuning"}]}`)
	if _, err := world.attacher.Add(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	world.expect("ADD bridge eth0", "ADD macvlan net1", "ADD host-device six", "ADD tuning six")
	names := []string{}
	for _, entry := range world.reported {
		names = append(names, fmt.Sprint(entry.Name, " ", entry.Interface, " ", entry.IPs, " ", entry.MAC, " ", entry.Default))
	}
	want := []string{
		"pods eth0 [192.0.2.7] 02:00:00:00:00:07 true",
		"fleet/ipv4 net1 [192.0.2.7] 02:00:00:00:00:07 false",
		"other/ipv6 six [192.0.2.7] 02:00:00:00:00:07 false",
	}
	if !reflect.DeepEqual(names, want) {
		t.Errorf("reported %q; want %q", names, want)
	}
}

func TestAddTellsPluginsTheAddressesAskedFor(t *testing.T) {
	world := newWorld(t, `[{"name": "ipv4", "ips": ["198.51.100.9/24"], "mac": "02:00:00:00:00:09"}]`)
	world.define("fleet/ipv4", `{"cniVersion": "1.0.0", "type": "macvlan", "capabilities": {"ips": true, "mac": true}}`)
	if _, err := world.attacher.Add(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"ips": []any{"198.51.100.9/24"}, "mac": "02:00:00:00:00:09"}
	last := world.plugins.stdin[len(world.plugins.stdin)-1]
	if !reflect.DeepEqual(last["runtimeConfig"], want) {
		t.Errorf("macvlan was told %v; want %v", last["runtimeConfig"], want)
	}
	if last["name"] != "ipv4" {
		t.Errorf("the configuration's name is %v; want the definition's", last["name"])
	}
}

func TestDelIsTheReverseAndNeedsNoAPI(t *testing.T) {
	world := newWorld(t, "ipv4,ipv4")
	world.define("fleet/ipv4", `{"cniVersion": "1.0.0", "plugins": [{"type": "macvlan"}, {"type": "tuning"}]}`)
	if _, err := world.attacher.Add(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	world.plugins.calls = nil
	world.down = errors.New("the API server is away")
	if err := world.attacher.Del(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	world.expect("DEL tuning net2", "DEL macvlan net2", "DEL tuning net1", "DEL macvlan net1", "DEL bridge eth0")
	world.plugins.calls = nil
	if err := world.attacher.Del(t.Context(), pod); err != nil {
		t.Fatalf("a second DEL: %v", err)
	}
	world.expect()
}

func TestAddUndoesWhatItBegan(t *testing.T) {
	world := newWorld(t, "ipv4,ipv6")
	world.define("fleet/ipv4", `{"cniVersion": "1.0.0", "type": "macvlan"}`)
	world.define("fleet/ipv6", `{"cniVersion": "1.0.0", "type": "host-device"}`)
	world.plugins.broken = "ADD host-device"
	_, err := world.attacher.Add(t.Context(), pod)
	says(t, err, "network fleet/ipv6: ", "host-device is broken")
	world.expect("ADD bridge eth0", "ADD macvlan net1", "ADD host-device net2",
		"DEL host-device net2", "DEL macvlan net1", "DEL bridge eth0")
	if _, err := os.Stat(world.attacher.record(pod)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the record is still there: %v", err)
	}
}

func TestDelTriesThemAllAndIsRepeated(t *testing.T) {
	world := newWorld(t, "ipv4")
	world.define("fleet/ipv4", `{"cniVersion": "1.0.0", "type": "macvlan"}`)
	if _, err := world.attacher.Add(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	world.plugins.calls, world.plugins.broken = nil, "DEL macvlan"
	says(t, world.attacher.Del(t.Context(), pod), "network fleet/ipv4: ", "macvlan is broken")
	world.expect("DEL macvlan net1", "DEL bridge eth0")
	world.plugins.broken = ""
	if err := world.attacher.Del(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
}

func TestAddAttachesNothingOfAPodThatAsksForTheImpossible(t *testing.T) {
	cases := map[string]struct {
		annotation string
		says       []string
	}{
		"no such network":  {"ipv4,nowhere", []string{"network fleet/nowhere: ", "no definition"}},
		"not JSON":         {"ipv4,broken", []string{"network fleet/broken: spec.config: "}},
		"no type":          {"ipv4,untyped", []string{"network fleet/untyped: spec.config: ", "type"}},
		"a bad annotation": {"ipv4@", []string{NetworksAnnotation}},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			world := newWorld(t, test.annotation)
			world.define("fleet/ipv4", `{"cniVersion": "1.0.0", "type": "macvlan"}`)
			world.define("fleet/broken", `{"cniVersion"`)
			world.define("fleet/untyped", `{"cniVersion": "1.0.0"}`)
			_, err := world.attacher.Add(t.Context(), pod)
			says(t, err, test.says...)
			world.expect()
		})
	}
}

func TestCheckAsksEveryNetwork(t *testing.T) {
	world := newWorld(t, "ipv4")
	world.define("fleet/ipv4", `{"cniVersion": "1.0.0", "type": "macvlan"}`)
	says(t, world.attacher.Check(t.Context(), pod), "fleet/relay-1 was given no network")
	if _, err := world.attacher.Add(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	world.plugins.calls = nil
	if err := world.attacher.Check(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	world.expect("CHECK bridge eth0", "CHECK macvlan net1")
	world.plugins.broken = "CHECK macvlan"
	says(t, world.attacher.Check(t.Context(), pod), "network fleet/ipv4: ", "macvlan is broken")
}

// world is a cluster and a node whose plugins only note that they were called.
type world struct {
	t           *testing.T
	attacher    *Attacher
	plugins     *plugins
	annotation  string
	definitions map[string]string
	down        error
	reported    []Status
}

func newWorld(t *testing.T, annotation string) *world {
	config := &Config{
		StateDir:       t.TempDir(),
		ClusterNetwork: json.RawMessage(`{"cniVersion": "1.0.0", "name": "pods", "plugins": [{"type": "bridge"}]}`),
	}
	config.Name = "pods"
	made := &world{t: t, plugins: &plugins{}, annotation: annotation, definitions: map[string]string{}}
	cni := libcni.NewCNIConfigWithCacheDir([]string{"/plugins"}, filepath.Join(config.StateDir, "cache"), made.plugins)
	made.attacher = &Attacher{Config: config, API: made, CNI: cni}
	return made
}

func (w *world) define(name, config string) { w.definitions[name] = config }

func (w *world) expect(calls ...string) {
	w.t.Helper()
	if !slices.Equal(w.plugins.calls, calls) {
		w.t.Errorf("the plugins were called %q; want %q", w.plugins.calls, calls)
	}
}

func (w *world) Networks(context.Context, Pod) (string, error) { return w.annotation, w.down }

func (w *world) Definition(_ context.Context, namespace, name string) (string, error) {
	config, found := w.definitions[namespace+"/"+name]
	if !found {
		return "", errors.New("no definition")
	}
	return config, w.down
}

func (w *world) Report(_ context.Context, _ Pod, status []Status) error {
	w.reported = status
	return w.down
}

// plugins takes the place of the programs that libcni would start.
type plugins struct {
	version.PluginDecoder
	calls  []string
	stdin  []map[string]any
	broken string // a command and a plugin
}

func (p *plugins) FindInPath(plugin string, paths []string) (string, error) {
	return filepath.Join(paths[0], plugin), nil
}

func (p *plugins) ExecPlugin(_ context.Context, path string, stdin []byte, environ []string) ([]byte, error) {
	variables := map[string]string{}
	for _, line := range environ {
		key, value, _ := strings.Cut(line, "=")
		variables[key] = value
	}
	plugin := filepath.Base(path)
	if variables["CNI_COMMAND"] == "VERSION" {
		return []byte(`{"cniVersion": "1.0.0", "supportedVersions": ["1.0.0"]}`), nil
	}
	p.calls = append(p.calls, strings.Join([]string{variables["CNI_COMMAND"], plugin, variables["CNI_IFNAME"]}, " "))
	config := map[string]any{}
	if err := json.Unmarshal(stdin, &config); err != nil {
		return nil, err
	}
	p.stdin = append(p.stdin, config)
	if p.broken == variables["CNI_COMMAND"]+" "+plugin {
		return nil, fmt.Errorf("%s is broken", plugin)
	}
	return fmt.Appendf(nil, `{
		"cniVersion": "1.0.0",
		"interfaces": [{"name": "cni0", "mac": "02:00:00:00:00:01"},
			{"name": %q, "mac": "02:00:00:00:00:07", "sandbox": "/run/netns/c1"}],
		"ips": [{"interface": 1, "address": "192.0.2.7/24"}]
	}`, variables["CNI_IFNAME"]), nil
}

func says(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error; want one that says %q", words)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q does not say %q", err, word)
		}
	}
}
