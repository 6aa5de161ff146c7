package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/edri-io/edri/server"
	"github.com/edri-io/edri/workflows"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"edri":    main,
		"fulfil":  func() { workerMain(fulfilScript) },
		"fulfil2": func() { workerMain(fulfilOtherwise) },
		"stranger": func() {
			workerMain(workflows.Define("other", 1, func(workflows.Context, int) (int, error) { return 0, nil }))
		},
	})
}

// The scripts are in testdata/script: what a person types, and what comes of it.
// Each has a node of its own, whose URL is in EDRI_URL.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"mask": mask, "code": code, "codeuntil": codeUntil, "says": says, "until": until, "define": defineWorkflow, "workflows": workflowWorker, "checkhistories": checkHistories,
		},
		Setup: func(e *testscript.Env) error {
			url, stop, err := startNode(e.Getenv("WORK"))
			if err != nil {
				return err
			}
			e.Defer(stop)
			e.Setenv("EDRI_URL", url)
			return nil
		},
		// A command that does not end fails the script instead of the whole run.
		Deadline: time.Now().Add(2 * time.Minute),
	})
}

// startNode runs a cluster of one in this process.
func startNode(dir string) (url string, stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	raft := l.Addr().String()
	if err := l.Close(); err != nil {
		return "", nil, err
	}
	e, err := server.Load(server.Sources{Preset: map[string]string{
		"node-id": "n1", "peers": "n1=" + raft, "data-dir": filepath.Join(dir, ".node"),
		"listen": "127.0.0.1:0", "raft-listen": raft, "advertise": "127.0.0.1:7420",
	}})
	if err != nil {
		return "", nil, err
	}
	// The log is shown by a script that fails: cat .log.
	log, err := os.Create(filepath.Join(dir, ".log"))
	if err != nil {
		return "", nil, err
	}
	s, err := server.New(e.Config, server.Options{Logger: server.NewLogger(log, slog.LevelDebug, "text"), Exit: os.Exit})
	if err != nil {
		return "", nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Run(ctx) // what a script looks at is what the commands say
	}()
	stop = func() {
		cancel()
		<-done
		_ = log.Close()
	}
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for range 2000 {
		resp, err := http.Get(s.URL() + "/readyz")
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return s.URL(), stop, nil
			}
		}
		<-again.C
	}
	stop()
	return "", nil, context.DeadlineExceeded
}

// mask replaces what differs from run to run: every match of each pattern by its
// name.
//
//	mask FILE NAME=REGEXP...
func mask(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: mask FILE NAME=REGEXP...")
	}
	text := ts.ReadFile(args[0])
	for _, a := range args[1:] {
		name, pattern, _ := strings.Cut(a, "=")
		text = replaceAll(text, pattern, name)
	}
	path := ts.MkAbs("masked")
	ts.Check(os.WriteFile(path, []byte(text), 0o600))
}

// code runs a command whose exit code must be the one given.
//
//	code N COMMAND...
func code(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N COMMAND...")
	}
	err := ts.Exec(args[1], args[2:]...)
	if got := exitStatus(err); got != args[0] {
		ts.Fatalf("exit code %s, want %s", got, args[0])
	}
}

// codeUntil runs a command again and again until its exit code is the one given.
//
//	codeuntil N COMMAND...
func codeUntil(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: codeuntil N COMMAND...")
	}
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	got := ""
	for range 400 {
		if got = exitStatus(ts.Exec(args[1], args[2:]...)); got == args[0] {
			return
		}
		<-again.C
	}
	ts.Fatalf("exit code %s to the end, want %s", got, args[0])
}

// says runs a command again and again until what it writes matches a pattern.
//
//	says REGEXP COMMAND...
func says(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: says REGEXP COMMAND...")
	}
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for range 400 {
		ts.Check(ts.Exec(args[1], args[2:]...))
		if matches(ts.ReadFile("stdout"), args[0]) {
			return
		}
		<-again.C
	}
	ts.Fatalf("it never said %q", args[0])
}

// until waits until a file matches a pattern.
//
//	until FILE REGEXP
func until(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: until FILE REGEXP")
	}
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	var text []byte
	for range 2000 {
		var err error
		if text, err = os.ReadFile(ts.MkAbs(args[0])); err == nil && matches(string(text), args[1]) {
			return
		}
		<-again.C
	}
	ts.Fatalf("%s never matched %q:\n%s", args[0], args[1], text)
}

func replaceAll(text, pattern, name string) string {
	return regexp.MustCompile(pattern).ReplaceAllString(text, name)
}

func matches(text, pattern string) bool { return regexp.MustCompile(pattern).MatchString(text) }

func exitStatus(err error) string {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return "0"
	case errors.As(err, &exit):
		return strconv.Itoa(exit.ExitCode())
	}
	return err.Error()
}
