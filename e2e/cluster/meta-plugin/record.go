package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// record is the file that says what a pod was given.
func (a *Attacher) record(pod Pod) string {
	return filepath.Join(a.Config.StateDir, "pods", pod.ContainerID+".json")
}

func (a *Attacher) remember(pod Pod, delegates []Delegate) error {
	text, err := json.Marshal(delegates)
	if err != nil {
		return err
	}
	path := a.record(pod)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	unfinished := path + ".new"
	if err := os.WriteFile(unfinished, text, 0o600); err != nil {
		return err
	}
	return os.Rename(unfinished, path)
}

// recall returns what the pod was given: nothing, if it was given nothing or all of it has gone.
func (a *Attacher) recall(pod Pod) ([]Delegate, error) {
	text, err := os.ReadFile(a.record(pod))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var delegates []Delegate
	if err := json.Unmarshal(text, &delegates); err != nil {
		return nil, fmt.Errorf("%s: %w", a.record(pod), err)
	}
	return delegates, nil
}

func (a *Attacher) forget(pod Pod) error {
	err := os.Remove(a.record(pod))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
