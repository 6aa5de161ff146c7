package server

import (
	"fmt"
	"os"
	"strings"

	"go.yaml.in/yaml/v4"
)

// readFile reads the YAML file: one mapping of settings to their values. A list
// of values is the same as the values with commas between them. What is not
// understood is refused with its line, because a setting that is silently left
// out is found out only when it is needed.
func readFile(path string) (map[string]given, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration file: %w", err)
	}
	var documents []yaml.Node
	if err := yaml.Load(data, &documents, yaml.WithAllDocuments()); err != nil {
		return nil, fmt.Errorf("%s: %s", path, oneLine(err))
	}
	switch len(documents) {
	case 0:
		return nil, nil
	case 1:
	default:
		return nil, fmt.Errorf("%s:%d: a second YAML document begins", path, documents[1].Line)
	}
	root := &documents[0]
	if root.Kind == yaml.DocumentNode && len(root.Content) == 1 {
		root = root.Content[0]
	}
	if isNull(root) {
		return nil, nil // comments only
	}
	if root.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%s:%d: must be lines of SETTING: VALUE", path, root.Line)
	}
	found := make(map[string]given, len(root.Content)/2)
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		place := fmt.Sprintf("%s:%d", path, key.Line)
		if !isSetting(key.Value) {
			return nil, fmt.Errorf("%s: unknown setting %q%s", place, key.Value, suggestion(key.Value))
		}
		if first, ok := found[key.Value]; ok {
			return nil, fmt.Errorf("%s: %s stands there twice, first at %s", place, key.Value, first.origin)
		}
		text, err := scalarText(value)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %s %w", path, value.Line, key.Value, err)
		}
		found[key.Value] = given{text, place}
	}
	return found, nil
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
