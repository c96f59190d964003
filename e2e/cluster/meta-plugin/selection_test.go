package main

import (
	"reflect"
	"strings"
	"testing"
)

func TestParseSelections(t *testing.T) {
	cases := map[string]struct {
		annotation string
		want       []Selection
	}{
		"none":  {"  ", nil},
		"short": {"a", []Selection{{Name: "a", Namespace: "pod", Interface: "net1"}}},
		"short with everything": {"other/a@ipv4, b", []Selection{
			{Name: "a", Namespace: "other", Interface: "ipv4"},
			{Name: "b", Namespace: "pod", Interface: "net2"},
		}},
		"the same network twice": {"a,a", []Selection{
			{Name: "a", Namespace: "pod", Interface: "net1"},
			{Name: "a", Namespace: "pod", Interface: "net2"},
		}},
		"JSON": {
			`[{"name": "a", "namespace": "other", "interface": "ipv4", "ips": ["192.0.2.1/24", "2001:db8::1"],
			   "mac": "02:00:00:00:00:01"}, {"name": "b"}]`,
			[]Selection{
				{"a", "other", "ipv4", []string{"192.0.2.1/24", "2001:db8::1"}, "02:00:00:00:00:01"},
				{Name: "b", Namespace: "pod", Interface: "net2"},
			},
		},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			found, err := ParseSelections(test.annotation, "pod")
			if err != nil || !reflect.DeepEqual(found, test.want) {
				t.Errorf("found %v, %v; want %v", found, err, test.want)
			}
		})
	}
}

func TestParseSelectionsRefuses(t *testing.T) {
	cases := map[string]struct{ annotation, says string }{
		"empty item":            {"a,,b", `name "" is not`},
		"two slashes":           {"a/b/c", `name "b/c" is not`},
		"no namespace":          {"/a", "no namespace before /"},
		"no interface":          {"a@", "no interface after @"},
		"long interface":        {"a@abcdefghijklmnop", `interface "abcdefghijklmnop" is not`},
		"interface twice":       {"a@x,b@x", `network 2: interface "x" is taken`},
		"pod network's":         {"a@eth0", `interface "eth0" is taken`},
		"default name is taken": {"a@net2,b", `interface "net2" is taken`},
		"capital":               {"A", `name "A" is not`},
		"unfinished JSON":       {`[{"name": "a"}`, "EOF"},
		"more after JSON":       {`[{"name": "a"}] b`, "something follows"},
		"unknown key":           {`[{"name": "a", "bandwidth": {}}]`, `unknown field "bandwidth"`},
		"no name":               {`[{"namespace": "a"}]`, `name "" is not`},
		"bad address":           {`[{"name": "a", "ips": ["192.0.2.300"]}]`, `ips: "192.0.2.300" is not`},
		"bad MAC":               {`[{"name": "a", "mac": "02:00"}]`, `mac: "02:00" is not`},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			found, err := ParseSelections(test.annotation, "pod")
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Fatalf("found %v, %v; want an error that says %q", found, err, test.says)
			}
			if !strings.Contains(err.Error(), NetworksAnnotation) {
				t.Errorf("%q does not name the annotation", err)
			}
		})
	}
}
