package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"
)

var (
	pods        = schema.GroupVersionResource{Version: "v1", Resource: "pods"}
	definitions = schema.GroupVersionResource{
		Group: "k8s.cni.cncf.io", Version: "v1", Resource: "network-attachment-definitions",
	}
)

// Kubernetes is the API server. It is reached when it is needed: DEL does without.
type Kubernetes struct {
	Kubeconfig string
	client     dynamic.Interface
}

func (k *Kubernetes) connect() (dynamic.Interface, error) {
	if k.client != nil {
		return k.client, nil
	}
	config, err := clientcmd.BuildConfigFromFlags("", k.Kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("kubeconfig: %w", err)
	}
	config.Timeout = 20 * time.Second
	k.client, err = dynamic.NewForConfig(config)
	return k.client, err
}

// Networks reads the pod's annotation. A pod of another UID is a later one of the same name: its networks are not ours.
func (k *Kubernetes) Networks(ctx context.Context, pod Pod) (string, error) {
	client, err := k.connect()
	if err != nil {
		return "", err
	}
	found, err := client.Resource(pods).Namespace(pod.Namespace).Get(ctx, pod.Name, metav1.GetOptions{})
	if err != nil {
		return "", fmt.Errorf("pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}
	if pod.UID != "" && string(found.GetUID()) != pod.UID {
		return "", fmt.Errorf("pod %s/%s was replaced by another of its name", pod.Namespace, pod.Name)
	}
	return found.GetAnnotations()[NetworksAnnotation], nil
}

func (k *Kubernetes) Definition(ctx context.Context, namespace, name string) (string, error) {
	client, err := k.connect()
	if err != nil {
		return "", err
	}
	found, err := client.Resource(definitions).Namespace(namespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return "", fmt.Errorf("there is no NetworkAttachmentDefinition %s in namespace %s", name, namespace)
	}
	if err != nil {
		return "", err
	}
	config, _, err := unstructured.NestedString(found.Object, "spec", "config")
	if err == nil && config == "" {
		err = fmt.Errorf("spec.config is empty")
	}
	return config, err
}

func (k *Kubernetes) Report(ctx context.Context, pod Pod, status []Status) error {
	client, err := k.connect()
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(status, "", "    ")
	if err != nil {
		return err
	}
	annotations := map[string]any{StatusAnnotation: string(text)}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": annotations}})
	if err != nil {
		return err
	}
	_, err = client.Resource(pods).Namespace(pod.Namespace).
		Patch(ctx, pod.Name, types.MergePatchType, patch, metav1.PatchOptions{}, "status")
	if err != nil {
		return fmt.Errorf("pod %s/%s: its annotation %s: %w", pod.Namespace, pod.Name, StatusAnnotation, err)
	}
	return nil
}
