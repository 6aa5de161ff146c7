package workflows_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/workflows"
)

func TestReadHistoryTakesLinesAndArrays(t *testing.T) {
	t.Parallel()
	one := `{"specversion":"1.0","id":"1/1","source":"/edri/workflows/a","type":"edri.workflow.started","data":{"type":"a"},"edriposition":"7","edrirevision":"1","edristream":"run/a","edristamp":"2026-01-01T00:00:00Z"}`
	for name, c := range map[string]struct {
		text string
		n    int
		fail bool
	}{
		"lines": {one + "\n" + one + "\n", 2, false}, "array": {" [\n" + one + ",\n" + one + "\n]\n", 2, false},
		"nothing": {"\n", 0, false}, "empty array": {"[]", 0, false},
		"no JSON": {one + "\nx", 0, true}, "cut": {"[" + one, 0, true},
	} {
		history, err := workflows.ReadHistory(strings.NewReader(c.text))
		if len(history) != c.n || (err != nil) != c.fail {
			t.Errorf("%s: %d events, %v", name, len(history), err)
		}
		for _, e := range history {
			if e.Type != "edri.workflow.started" {
				t.Errorf("%s: %+v", name, e)
			}
		}
	}
}

func TestCheckRecordedChecksAFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name string, kinds ...string) {
		t.Helper()
		var b []byte
		for i, kind := range kinds {
			e := event.Recorded{Stream: "run/r", Position: event.Position(i + 1), Revision: event.Revision(i + 1)}
			e.ID, e.Source, e.Type = name, "/edri/workflows/wait", "edri.workflow."+kind
			e.DataContentType = "application/json"
			e.Data = []byte(map[string]string{
				"started": `{"type":"wait","version":1,"seed":"7"}`, "timer.set": `{"seq":1,"for":"1h0m0s"}`, "step.completed": `{"seq":1,"name":"other","attempt":1}`,
			}[kind])
			b = append(e.AppendJSON(b), '\n')
		}
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	code := workflows.Define("wait", 1, func(ctx workflows.Context, _ struct{}) (struct{}, error) {
		return struct{}{}, workflows.Sleep(ctx, 3600e9)
	})
	write("wait/1.jsonl", "started", "timer.set")
	write("other.txt", "timer.set")
	if n, err := workflows.CheckRecorded(dir, code); n != 1 || err != nil {
		t.Fatalf("%d files, %v", n, err)
	}
	write("wait/2.jsonl", "started", "step.completed")
	write("wait/3.jsonl", "timer.set")
	n, err := workflows.CheckRecorded(dir, code)
	if n != 3 || err == nil || !strings.Contains(err.Error(), "2.jsonl: ") || !strings.Contains(err.Error(), "3.jsonl: is no history") || strings.Contains(err.Error(), "1.jsonl") {
		t.Fatalf("%d files, %v", n, err)
	}
	if _, err := workflows.CheckRecorded(dir, workflows.Define("wait", 2, func(workflows.Context, struct{}) (struct{}, error) { return struct{}{}, nil })); err == nil || !strings.Contains(err.Error(), "no code for workflow wait, version 1") {
		t.Fatalf("without the code: %v", err)
	}
	if _, err := workflows.CheckRecorded(filepath.Join(dir, "nothing"), code); err == nil {
		t.Fatal("without a folder: no error")
	}
}
