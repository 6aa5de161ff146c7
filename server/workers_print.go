package server

import (
	"bytes"
	"encoding/json"

	"go.yaml.in/yaml/v4"
)

// workerYAML is a worker as it is written.
type workerYAML struct {
	Name         string   `yaml:"name"`
	Subscription string   `yaml:"subscription"`
	Filter       string   `yaml:"filter,omitempty"` // JSON
	OrderingKey  string   `yaml:"ordering-key,omitempty"`
	MaxDeliver   int      `yaml:"max-deliver,omitempty"`
	MaxHoldAge   string   `yaml:"max-hold-age,omitempty"`
	MaxHoldBytes string   `yaml:"max-hold-bytes,omitempty"`
	Version      uint32   `yaml:"version,omitempty"`
	Command      []string `yaml:"command,flow"`
	Env          []string `yaml:"env,flow,omitempty"`
	Dir          string   `yaml:"dir,omitempty"`
	Instances    int      `yaml:"instances,omitempty"`
	Concurrency  int      `yaml:"concurrency,omitempty"`
	Timeout      string   `yaml:"timeout,omitempty"`
}

// writeWorkers writes the list as parseWorkers reads it.
func writeWorkers(out *bytes.Buffer, workers []Worker) error {
	if len(workers) == 0 {
		return nil
	}
	list := make([]workerYAML, len(workers))
	for i, w := range workers {
		s, p := &w.Subscription, &w.Process
		list[i] = workerYAML{
			Name: w.Name, Subscription: s.Name, OrderingKey: s.OrderingKey, MaxDeliver: s.MaxDeliver, Version: s.Version,
			Command: p.Command, Env: p.Env, Dir: p.Dir, Instances: p.Instances, Concurrency: p.Concurrency,
		}
		if s.MaxHoldAge > 0 {
			list[i].MaxHoldAge = formatDuration(s.MaxHoldAge)
		}
		if s.MaxHoldBytes > 0 {
			list[i].MaxHoldBytes = formatBytes(s.MaxHoldBytes)
		}
		if w.Timeout > 0 {
			list[i].Timeout = formatDuration(w.Timeout)
		}
		if !w.Existing {
			filter, err := json.Marshal(s.Filter)
			if err != nil {
				return err
			}
			list[i].Filter = string(filter)
		}
	}
	text, err := yaml.Dump(map[string][]workerYAML{workersKey: list}, yaml.WithLineWidth(-1))
	if err != nil {
		return err
	}
	out.Write(text)
	return nil
}
