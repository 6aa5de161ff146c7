package server

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/managers"
)

const workersFile = `
flush-interval: 1ms
workers:
  - name: billing
    filter: {all: [{exact: {type: order.placed}}, {not: {prefix: {subject: "1"}}}]}
    ordering-key: stream
    max-deliver: 5
    max-hold-age: 36h
    max-hold-bytes: 2GiB
    version: 2
    command: [python3, billing.py, "--tax=20"]
    env: [REGION=north, EMPTY=]
    dir: workers
    instances: 2
    concurrency: 4
    timeout: 1m
  - name: mail
    subscription: outbox
    command: [./mail]
  - name: audit
    filter: '{"prefix":{"type":"order."}}'
    command: [audit]
  - {name: all, filter: {}, command: [all]}
`

func TestWorkersAreReadFromTheFile(t *testing.T) {
	t.Parallel()
	e, err := Load(sources(t, workersFile, nil, nil))
	if err != nil {
		t.Fatal(err)
	}
	want := []Worker{
		{Name: "billing", Timeout: time.Minute, Subscription: event.Subscription{
			Name: "billing", OrderingKey: "stream", MaxDeliver: 5, Version: 2,
			MaxHoldAge: 36 * time.Hour, MaxHoldBytes: 2 << 30,
			Filter: event.Filter{All: []event.Filter{
				{Exact: map[string]string{"type": "order.placed"}},
				{Not: &event.Filter{Prefix: map[string]string{"subject": "1"}}},
			}},
		}, Process: managers.Process{
			Command: []string{"python3", "billing.py", "--tax=20"}, Env: []string{"REGION=north", "EMPTY="},
			Dir: "workers", Instances: 2, Concurrency: 4,
		}},
		{Name: "mail", Subscription: event.Subscription{Name: "outbox"}, Existing: true, Process: managers.Process{Command: []string{"./mail"}}},
		{Name: "audit", Subscription: event.Subscription{Name: "audit", Filter: event.Filter{Prefix: map[string]string{"type": "order."}}},
			Process: managers.Process{Command: []string{"audit"}}},
		{Name: "all", Subscription: event.Subscription{Name: "all"}, Process: managers.Process{Command: []string{"all"}}},
	}
	if !reflect.DeepEqual(e.Workers, want) {
		t.Errorf("got  %+v\nwant %+v", e.Workers, want)
	}
	var printed bytes.Buffer
	if err := e.WriteYAML(&printed); err != nil {
		t.Fatal(err)
	}
	again, err := Load(sources(t, printed.String(), nil, nil))
	if err != nil {
		t.Fatalf("%v, of:\n%s", err, &printed)
	}
	if !reflect.DeepEqual(again.Config, e.Config) {
		t.Errorf("what was printed is read as\n%+v, want\n%+v", again.Config, e.Config)
	}
}

func TestWorkersThatAreWrongAreRefusedWithTheirLine(t *testing.T) {
	t.Parallel()
	for want, lines := range map[string]string{
		`:2: workers is not a list`:                                    "workers: 7",
		`:3: a worker must be lines of KEY: VALUE`:                     "workers:\n- billing",
		`:4: unknown key "comand" of a worker, want one of command, c`: "workers:\n- name: a\n  comand: [x]",
		`:4: name stands there twice`:                                  "workers:\n- name: a\n  name: b",
		`:3: a worker has no name`:                                     "workers:\n- command: [x]",
		`:3: worker a: invalid: process without a command`:             "workers:\n- name: a",
		`:4: command is not a list`:                                    "workers:\n- name: a\n  command: x y",
		`:4: env is a list of something else`:                          "workers:\n- name: a\n  env: [{A: b}]",
		`:3: worker a: invalid: environment "A": is not NAME=VALUE`:    "workers:\n- name: a\n  command: [x]\n  env: [A]",
		`:4: instances 300 is not from 1 to 256`:                       "workers:\n- name: a\n  instances: 300",
		`:4: timeout "soon" is not a duration`:                         "workers:\n- name: a\n  timeout: soon",
		`:4: filter invalid: filter: the dialect`:                      "workers:\n- name: a\n  filter: {exactly: {type: b}}",
		`:4: filter has no value`:                                      "workers:\n- name: a\n  filter:",
		`:5: worker a stands there twice, first at line 3`:             "workers:\n- name: a\n  command: [x]\n- name: a\n  command: [x]",
		`:3: worker a: without a filter`:                               "workers:\n- name: a\n  version: 2",
		`so it has no max-hold-age`:                                    "workers:\n- name: a\n  max-hold-age: 1h",
		`:4: max-hold-age 1ms is not from 1s to`:                       "workers:\n- name: a\n  max-hold-age: 1ms",
		`:4: max-hold-bytes "much" is not a size`:                      "workers:\n- name: a\n  max-hold-bytes: much",
		`:4: workers stands there twice`:                               "workers:\n- {name: a, command: [x]}\nworkers: []",
		`:3: worker a: manager a: invalid: ordering key`:               "workers:\n- {name: a, command: [x], filter: {}, ordering-key: color}",
	} {
		_, err := Load(sources(t, "\n"+lines+"\n", nil, nil))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q:\ngot  %v\nwant %s", lines, err, want)
		}
	}
}

func TestAFileWithoutWorkersHasNone(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "edri.yaml")
	if err := os.WriteFile(path, []byte("workers:\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := readFile(path)
	if err != nil || len(f.workers) != 0 {
		t.Errorf("got %v, %v", f.workers, err)
	}
}

// The guide has a row for each key.
func TestTheGuideHasEveryKeyOfAWorker(t *testing.T) {
	t.Parallel()
	guide, err := os.ReadFile(filepath.Join("..", "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, chapter, _ := strings.Cut(string(guide), "\n### Workers from the file\n")
	chapter, _, _ = strings.Cut(chapter, "\n### ")
	var documented []string
	for line := range strings.Lines(chapter) {
		if key, ok := strings.CutPrefix(line, "| `"); ok {
			key, _, _ = strings.Cut(key, "`")
			documented = append(documented, key)
		}
	}
	slices.Sort(documented)
	if want := slices.Sorted(maps.Keys(workerFields)); !slices.Equal(documented, want) {
		t.Errorf("the guide has %q, want %q", documented, want)
	}
}
