package server

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v4"
)

// WriteYAML writes the configuration as a file that Load would read to the same
// effect, each value with where it came from.
func (e *Effective) WriteYAML(w io.Writer) error {
	var out bytes.Buffer
	out.WriteString("# What this node runs with: flag > EDRI_* > file > default.\n")
	for _, s := range settings {
		value := s.get(&e.Config)
		if value == "" {
			fmt.Fprintf(&out, "# %-32s # %s\n", s.Name+":", e.origins[s.Name])
			continue
		}
		scalar, err := yamlScalar(value)
		if err != nil {
			return fmt.Errorf("write %s: %w", s.Name, err)
		}
		fmt.Fprintf(&out, "%-34s # %s\n", s.Name+": "+scalar, e.origins[s.Name])
	}
	if err := writeWorkers(&out, e.Workers); err != nil {
		return fmt.Errorf("write %s: %w", workersKey, err)
	}
	if _, err := w.Write(out.Bytes()); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	return nil
}

// yamlScalar quotes what YAML would read as something else. Numbers and booleans
// need no quotes, since we read every value as the text that stands there.
func yamlScalar(value string) (string, error) {
	if value == "true" || value == "false" || strings.Trim(value, "0123456789") == "" {
		return value, nil
	}
	b, err := yaml.Dump(value, yaml.WithLineWidth(-1))
	if err != nil {
		return "", err
	}
	return strings.TrimSuffix(string(b), "\n"), nil
}
