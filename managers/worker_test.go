//go:build unix

package managers_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/edri-io/edri/managers"
	"github.com/edri-io/edri/managers/managerstest"
)

// modeEnv makes this test's binary a worker, which behaves as its value says.
const modeEnv = "EDRI_TEST_WORKER"

func TestMain(m *testing.M) {
	switch mode := os.Getenv(modeEnv); mode {
	case "":
	case "host":
		host("no hello")
	case "host that exits":
		go host("stubborn")
		_, _ = io.Copy(io.Discard, os.Stdin) // until it is told to
		managers.KillProcesses()
		return
	default:
		(&worker{mode: mode}).run()
		return
	}
	os.Exit(m.Run())
}

// host runs a worker, one that does not look at its input, until it is killed.
func host(mode string) {
	m, err := managers.NewProcessWorker("billing", managers.Config{
		Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	}, managers.Process{Command: []string{os.Args[0]}, Env: []string{modeEnv + "=" + mode}, HelloTimeout: time.Minute})
	if err != nil {
		panic(err)
	}
	panic(m.Run(context.Background(), managerstest.NewCluster()))
}

// worker is a worker process, good or bad.
type worker struct {
	mode string
	held []uint64
	most int // deliveries at a time, as the host said
}

// hostLine is what a worker understands.
type hostLine struct {
	Hello *struct {
		Concurrency int `json:"concurrency"`
	} `json:"hello"`
	Deliver *delivered `json:"deliver"`
	Ping    *struct{}  `json:"ping"`
	Stop    *struct{}  `json:"stop"`
}

type delivered struct {
	ID       uint64 `json:"id"`
	Attempt  int    `json:"attempt"`
	EffectID string `json:"effectId"`
	Event    struct {
		ID   string          `json:"id"`
		Data json.RawMessage `json:"data"`
	} `json:"event"`
}

func say(format string, args ...any) { fmt.Printf(format+"\n", args...) }

func (w *worker) run() {
	if w.mode == "hang" {
		hang()
	}
	fmt.Fprintf(os.Stderr, "pid %d\n", os.Getpid())
	switch w.mode {
	case "dies for good":
		if os.Mkdir("been here", 0o700) != nil {
			hang()
		}
		say(`{"hello":{"protocol":1}}`)
	case "no hello":
		hang()
	case "heartbeat first":
		say(`{"heartbeat":{}}`)
	case "old hello":
		say(`{"hello":{"protocol":2}}`)
	case "concurrent":
		say(`{"hello":{"protocol":1,"concurrency":3}}`)
	case "poisoned":
		say(`{"hello":{"protocol":1,"concurrency":8}}`)
	case "beats", "stops beating":
		say(`{"hello":{"protocol":1,"heartbeatMs":300}}`)
	case "stubborn":
		signal.Ignore(syscall.SIGTERM)
		fork("pid", nil)
		say(`{"hello":{"protocol":1}}`)
	default:
		say(`{"hello":{"protocol":1,"name":"clerk"}}`)
	}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 8<<20)
	for lines.Scan() {
		var m hostLine
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			panic(err)
		}
		switch {
		case m.Hello != nil:
			w.most = m.Hello.Concurrency
		case m.Deliver != nil:
			w.deliver(m.Deliver)
		case m.Ping != nil && w.mode == "beats":
			say(`{"heartbeat":{}}`)
		case m.Stop != nil && w.mode != "stubborn":
			fmt.Fprintln(os.Stderr, "bye")
			return
		}
	}
	if w.mode == "stubborn" {
		hang()
	}
}

// hang does nothing until it is killed.
func hang() { time.Sleep(time.Hour) }

// fork starts a process that outlives this one unless it is killed, and has its pipes. It
// says the process's id.
func fork(what string, attributes *syscall.SysProcAttr) {
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), modeEnv+"=hang")
	child.Stdout, child.Stderr, child.SysProcAttr = os.Stdout, os.Stderr, attributes
	if err := child.Start(); err != nil {
		panic(err)
	}
	fmt.Fprintf(os.Stderr, "%s %d\n", what, child.Process.Pid)
}

func (w *worker) deliver(d *delivered) {
	made := fmt.Sprintf(`"append":[{"stream":"out","event":{"type":"made","data":%s}}]`, d.Event.Data)
	switch w.mode {
	case "dies", "dies for good":
		fmt.Fprintln(os.Stderr, "out of paper")
		os.Exit(3)
	case "leaves a fork":
		fork("pid", nil)
		os.Exit(3)
	case "leaves a daemon":
		fork("daemon", &syscall.SysProcAttr{Setsid: true})
		os.Exit(3)
	case "greets twice":
		say(`{"hello":{"protocol":1}}`)
	case "prints":
		say("handling %s", d.Event.ID)
	case "floods":
		for {
			_, _ = os.Stdout.WriteString(strings.Repeat("x", 1<<16))
		}
	case "answers another":
		say(`{"ack":{"id":%d}}`, d.ID+1)
	case "answers twice":
		say(`{"ack":{"id":%d,%s}}`, d.ID, made)
		say(`{"ack":{"id":%d,%s}}`, d.ID, made)
	case "closes":
		_ = os.Stdout.Close()
	case "silent", "stubborn", "stops beating":
	case "answers and dies":
		fmt.Printf(`{"ack":{"id":%d,%s}}`, d.ID, made) // without the end of the line
		os.Exit(0)
	case "beats":
		time.AfterFunc(900*time.Millisecond, func() { say(`{"ack":{"id":%d,%s}}`, d.ID, made) })
	case "beats without end":
		n := 0
		for began := time.Now(); time.Since(began) < time.Second; n++ {
			say(`{"heartbeat":{}}`)
		}
		say(`{"ack":{"id":%d,"append":[{"stream":"out","event":{"type":"made","data":%d}}]}}`, d.ID, n)
	case "concurrent":
		if w.held = append(w.held, d.ID); len(w.held) == w.most {
			for _, id := range w.held {
				say(`{"ack":{"id":%d,"append":[{"stream":"out","event":{"type":"made","data":%d}}]}}`, id, w.most)
			}
			w.held = nil
		}
	case "ends otherwise":
		switch {
		case d.Event.ID == "o-1" && d.Attempt == 1:
			say(`{"nak":{"id":%d,"reason":"busy","delayMs":1}}`, d.ID)
		case d.Event.ID == "o-2":
			say(`{"park":{"id":%d,"reason":"no such article"}}`, d.ID)
		case d.Event.ID == "o-3":
			say(`{"skip":{"id":%d}}`, d.ID)
		case d.Event.ID == "o-5" || d.Event.ID == "o-6":
			say(`{"ack":{"id":%d,%s,"respond":{"data":1}}}`, d.ID, made)
		default:
			say(`{"ack":{"id":%d,%s}}`, d.ID, made)
		}
	case "poisoned":
		if strings.HasPrefix(d.Event.ID, "poison") {
			time.AfterFunc(3*time.Millisecond, func() { os.Exit(3) }) // beside others
			return
		}
		time.AfterFunc(5*time.Millisecond, func() { say(`{"ack":{"id":%d,%s}}`, d.ID, made) })
	case "writes no event":
		say(`{"ack":{"id":%d,"append":[{"event":{}}]}}`, d.ID)
	case "chatters":
		_, _ = os.Stderr.WriteString(strings.Repeat("la\n", 5000))
		say(`{"ack":{"id":%d,%s}}`, d.ID, made)
	case "talks":
		fmt.Fprintln(os.Stderr, strings.Repeat("é", 10_000))
		fmt.Fprintf(os.Stderr, "handling %s\n", d.EffectID)
		fallthrough
	default:
		say(`{"ack":{"id":%d,%s}}`, d.ID, made)
	}
}
