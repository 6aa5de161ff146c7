package main

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"
)

func TestCommittedSampleEventsAreWhatTheGeneratorWrites(t *testing.T) {
	t.Parallel()
	committed, err := os.ReadFile("../events.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	var fresh bytes.Buffer
	if err := write(&fresh); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(committed, fresh.Bytes()) {
		t.Error("examples/events.ndjson differs: run go run ./examples/generate > examples/events.ndjson")
	}
}

func TestSampleEventsHaveDistinctIDs(t *testing.T) {
	t.Parallel()
	var fresh bytes.Buffer
	if err := write(&fresh); err != nil {
		t.Fatal(err)
	}
	lines := bytes.Split(bytes.TrimSuffix(fresh.Bytes(), []byte("\n")), []byte("\n"))
	if len(lines) != sampleEvents {
		t.Errorf("%d lines, want %d", len(lines), sampleEvents)
	}
	seen := map[string]bool{}
	for i, line := range lines {
		var e sample
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatalf("line %d: %v", i+1, err)
		}
		if key := e.Source + " " + e.ID; seen[key] {
			t.Errorf("line %d repeats %s", i+1, key)
		} else {
			seen[key] = true
		}
	}
}
