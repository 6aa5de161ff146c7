package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/edri-io/edri/event"
)

// workerFields are the keys of a worker in the file, each with what reads its value.
var workerFields = map[string]func(*Worker, *yaml.Node) error{
	"name":         textOf(func(w *Worker) *string { return &w.Name }),
	"subscription": textOf(func(w *Worker) *string { return &w.Subscription.Name }),
	"filter": func(w *Worker, n *yaml.Node) (err error) {
		w.Subscription.Filter, err = parseFilterNode(n)
		w.Existing = false
		return err
	},
	"ordering-key": textOf(func(w *Worker) *string { return &w.Subscription.OrderingKey }),
	"max-deliver":  countOf(100, func(w *Worker, n int64) { w.Subscription.MaxDeliver = int(n) }),
	"max-hold-age": durationOf(time.Second, 10*365*24*time.Hour, func(w *Worker) *time.Duration { return &w.Subscription.MaxHoldAge }),
	"max-hold-bytes": func(w *Worker, n *yaml.Node) error {
		text, err := plainText(n)
		if err != nil {
			return err
		}
		w.Subscription.MaxHoldBytes, err = parseBytes(text, mib, 1<<50)
		return err
	},
	"version": countOf(math.MaxUint32, func(w *Worker, n int64) { w.Subscription.Version = uint32(n) }),
	"command": func(w *Worker, n *yaml.Node) (err error) {
		w.Process.Command, err = listOf(n)
		return err
	},
	"env": func(w *Worker, n *yaml.Node) (err error) {
		w.Process.Env, err = listOf(n)
		return err
	},
	"dir":         textOf(func(w *Worker) *string { return &w.Process.Dir }),
	"instances":   countOf(256, func(w *Worker, n int64) { w.Process.Instances = int(n) }),
	"concurrency": countOf(10_000, func(w *Worker, n int64) { w.Process.Concurrency = int(n) }),
	"timeout":     durationOf(time.Millisecond, 24*time.Hour, func(w *Worker) *time.Duration { return &w.Timeout }),
}

// parseWorkers reads the list of workers. Its errors name file and line.
func parseWorkers(path string, list *yaml.Node) ([]Worker, error) {
	if isNull(list) {
		return nil, nil
	}
	if list.Kind != yaml.SequenceNode {
		return nil, fmt.Errorf("%s:%d: %s is not a list", path, list.Line, workersKey)
	}
	lines := make(map[string]int) // by name
	var workers []Worker
	for _, n := range list.Content {
		w, err := parseWorker(path, n)
		if err != nil {
			return nil, err
		}
		if first, ok := lines[w.Name]; ok {
			return nil, fmt.Errorf("%s:%d: worker %s stands there twice, first at line %d", path, n.Line, w.Name, first)
		}
		lines[w.Name] = n.Line
		workers = append(workers, w)
	}
	return workers, nil
}

func parseWorker(path string, n *yaml.Node) (Worker, error) {
	w := Worker{Existing: true}
	if n.Kind != yaml.MappingNode {
		return w, fmt.Errorf("%s:%d: a worker must be lines of KEY: VALUE", path, n.Line)
	}
	seen := make(map[string]bool)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		set := workerFields[key.Value]
		if set == nil {
			return w, fmt.Errorf("%s:%d: unknown key %q of a worker, want one of %s", path, key.Line, key.Value,
				strings.Join(slices.Sorted(maps.Keys(workerFields)), ", "))
		}
		if seen[key.Value] {
			return w, fmt.Errorf("%s:%d: %s stands there twice", path, key.Line, key.Value)
		}
		seen[key.Value] = true
		if err := set(&w, value); err != nil {
			return w, fmt.Errorf("%s:%d: %s %w", path, value.Line, key.Value, err)
		}
	}
	switch {
	case w.Name == "":
		return w, fmt.Errorf("%s:%d: a worker has no name", path, n.Line)
	}
	for _, key := range []string{"ordering-key", "max-deliver", "max-hold-age", "max-hold-bytes", "version"} {
		if w.Existing && seen[key] {
			return w, fmt.Errorf("%s:%d: worker %s: without a filter its subscription stays as it is, so it has no %s", path, n.Line, w.Name, key)
		}
	}
	if w.Subscription.Name == "" {
		w.Subscription.Name = w.Name
	}
	if _, err := w.Manager("", nil); err != nil {
		return w, fmt.Errorf("%s:%d: %w", path, n.Line, err)
	}
	return w, nil
}

func textOf(field func(*Worker) *string) func(*Worker, *yaml.Node) error {
	return func(w *Worker, n *yaml.Node) (err error) {
		*field(w), err = plainText(n)
		return err
	}
}

func countOf(most int64, set func(*Worker, int64)) func(*Worker, *yaml.Node) error {
	return func(w *Worker, n *yaml.Node) error {
		text, err := plainText(n)
		if err != nil {
			return err
		}
		count, err := parseCount(text, 1, most)
		set(w, count)
		return err
	}
}

func durationOf(least, most time.Duration, field func(*Worker) *time.Duration) func(*Worker, *yaml.Node) error {
	return func(w *Worker, n *yaml.Node) error {
		text, err := plainText(n)
		if err != nil {
			return err
		}
		*field(w), err = parseDuration(text, least, most)
		return err
	}
}

func plainText(n *yaml.Node) (string, error) {
	switch {
	case isNull(n) || n.Kind == yaml.ScalarNode && n.Value == "":
		return "", errNoValue
	case n.Kind != yaml.ScalarNode:
		return "", fmt.Errorf("is not a plain value")
	}
	return n.Value, nil
}

func listOf(n *yaml.Node) ([]string, error) {
	if n.Kind != yaml.SequenceNode {
		return nil, fmt.Errorf("is not a list")
	}
	var list []string
	for _, item := range n.Content {
		if item.Kind != yaml.ScalarNode || isNull(item) {
			return nil, fmt.Errorf("is a list of something else than plain values")
		}
		list = append(list, item.Value)
	}
	return list, nil
}

// parseFilterNode reads a filter that is written in YAML, or as a text of JSON.
func parseFilterNode(n *yaml.Node) (event.Filter, error) {
	if n.Kind == yaml.ScalarNode && !isNull(n) {
		return event.ParseFilter([]byte(n.Value))
	}
	text, err := jsonOf(n)
	if err != nil {
		return event.Filter{}, err
	}
	return event.ParseFilter(text)
}

// jsonOf returns the JSON of a node, whose plain values are all strings.
func jsonOf(n *yaml.Node) ([]byte, error) {
	var parts [][]byte
	switch {
	case n.Kind == yaml.ScalarNode && !isNull(n):
		return json.Marshal(n.Value)
	case n.Kind != yaml.MappingNode && n.Kind != yaml.SequenceNode:
		return nil, fmt.Errorf("has no value, or an alias, which is not supported here")
	}
	for i, child := range n.Content {
		part, err := jsonOf(child)
		if err != nil {
			return nil, err
		}
		if n.Kind == yaml.MappingNode && i%2 == 1 {
			last := len(parts) - 1
			parts[last] = slices.Concat(parts[last], []byte{':'}, part)
			continue
		}
		parts = append(parts, part)
	}
	brackets := "{}"
	if n.Kind == yaml.SequenceNode {
		brackets = "[]"
	}
	return slices.Concat([]byte{brackets[0]}, bytes.Join(parts, []byte{','}), []byte{brackets[1]}), nil
}
