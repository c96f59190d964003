// meta-plugin is a CNI plugin that gives a pod more interfaces than the pod network's: those that its annotation
// k8s.v1.cni.cncf.io/networks names, as the Kubernetes Network Custom Resource Definition De-facto Standard, version 1,
// says. It stands in for Multus on the test cluster and does no more than the standard's pages that Culvert uses.
package main

import (
	"context"
	"time"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"
	"github.com/containernetworking/cni/pkg/version"
)

// patience bounds one call; the kubelet gives up on it after two minutes.
const patience = 90 * time.Second

func main() {
	skel.PluginMainFuncs(
		skel.CNIFuncs{Add: add, Del: del, Check: check},
		version.PluginSupports("0.4.0", "1.0.0"),
		"meta-plugin: a pod's additional networks, by NetworkAttachmentDefinition",
	)
}

func add(args *skel.CmdArgs) error {
	return call(args, func(ctx context.Context, attacher *Attacher, pod Pod) error {
		result, err := attacher.Add(ctx, pod)
		if err != nil {
			return err
		}
		return types.PrintResult(result, attacher.Config.CNIVersion)
	})
}

func del(args *skel.CmdArgs) error {
	return call(args, func(ctx context.Context, attacher *Attacher, pod Pod) error { return attacher.Del(ctx, pod) })
}

func check(args *skel.CmdArgs) error {
	return call(args, func(ctx context.Context, attacher *Attacher, pod Pod) error { return attacher.Check(ctx, pod) })
}

func call(args *skel.CmdArgs, work func(context.Context, *Attacher, Pod) error) error {
	config, err := ParseConfig(args.StdinData)
	if err != nil {
		return err
	}
	pod, err := ParsePod(args)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	plugins := libcni.NewCNIConfigWithCacheDir(PluginPath(args), config.StateDir, nil)
	return work(ctx, &Attacher{Config: config, API: &Kubernetes{Kubeconfig: config.Kubeconfig}, CNI: plugins}, pod)
}
