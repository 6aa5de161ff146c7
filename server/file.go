package server

import (
	"fmt"
	"os"
	"strings"

	"go.yaml.in/yaml/v4"
)

// file is what stands in the YAML file.
type file struct {
	settings map[string]given
	workers  []Worker
}

// workersKey is the key of what only the file can say.
const workersKey = "workers"

// readFile reads the YAML file: one mapping of settings to their values, and the list
// of workers. A list of values is the same as the values with commas between them. What
// is not understood is refused with its line, because a setting that is silently left
// out is found out only when it is needed.
func readFile(path string) (f file, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return f, fmt.Errorf("read configuration file: %w", err)
	}
	var documents []yaml.Node
	if err := yaml.Load(data, &documents, yaml.WithAllDocuments()); err != nil {
		return f, fmt.Errorf("%s: %s", path, oneLine(err))
	}
	switch len(documents) {
	case 0:
		return f, nil
	case 1:
	default:
		return f, fmt.Errorf("%s:%d: a second YAML document begins", path, documents[1].Line)
	}
	root := &documents[0]
	if root.Kind == yaml.DocumentNode && len(root.Content) == 1 {
		root = root.Content[0]
	}
	if isNull(root) {
		return f, nil // comments only
	}
	if root.Kind != yaml.MappingNode {
		return f, fmt.Errorf("%s:%d: must be lines of SETTING: VALUE", path, root.Line)
	}
	found := make(map[string]given, len(root.Content)/2)
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		place := fmt.Sprintf("%s:%d", path, key.Line)
		if key.Value != workersKey && !isSetting(key.Value) {
			return f, fmt.Errorf("%s: unknown setting %q%s", place, key.Value, suggestion(key.Value))
		}
		if first, ok := found[key.Value]; ok {
			return f, fmt.Errorf("%s: %s stands there twice, first at %s", place, key.Value, first.origin)
		}
		found[key.Value] = given{origin: place}
		if key.Value == workersKey {
			if f.workers, err = parseWorkers(path, value); err != nil {
				return f, err
			}
			continue
		}
		text, err := scalarText(value)
		if err != nil {
			return f, fmt.Errorf("%s:%d: %s %w", path, value.Line, key.Value, err)
		}
		found[key.Value] = given{text, place}
	}
	f.settings = found
	return f, nil
}

// scalarText returns the value as it is written; its YAML type does not matter.
func scalarText(n *yaml.Node) (string, error) {
	switch {
	case isNull(n):
		return "", errNoValue
	case n.Kind == yaml.ScalarNode:
		return n.Value, nil
	case n.Kind == yaml.SequenceNode:
		items := make([]string, len(n.Content))
		for i, item := range n.Content {
			if item.Kind != yaml.ScalarNode || isNull(item) {
				return "", fmt.Errorf("is a list of something else than plain values")
			}
			items[i] = item.Value
		}
		return strings.Join(items, ","), nil
	case n.Kind == yaml.AliasNode:
		return "", fmt.Errorf("is an alias, which is not supported here")
	}
	return "", fmt.Errorf("is neither a plain value nor a list of them")
}

func isNull(n *yaml.Node) bool { return n.Kind == 0 || n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

func suggestion(unknown string) string {
	if s := nearest(unknown); s != "" {
		return fmt.Sprintf(" (is it %s?)", s)
	}
	return ""
}

// oneLine keeps a message of the YAML library to one line.
func oneLine(err error) string {
	return strings.Join(strings.Fields(err.Error()), " ")
}
