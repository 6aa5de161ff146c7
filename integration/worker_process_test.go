package integration

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/managers"
)

// workerEnv makes the test binary a process worker (docs/worker-protocol.md) that does
// what each event says: the value is the folder into which each process writes a file
// with its id as the name. sleeperEnv makes it one that does nothing at all.
const (
	workerEnv  = "EDRI_TEST_WORKER"
	sleeperEnv = "EDRI_TEST_SLEEPER"
	mortalEnv  = "EDRI_TEST_MORTAL" // a member, of the servers that are its value
)

// task is the data of the worker's events. Do is done at the first Times attempts; else,
// and after what does not end the attempt, it answers with one event in "tasks".
type task struct {
	N     int    `json:"n"`
	Do    string `json:"do,omitempty"`
	Times int    `json:"times,omitempty"`
}

// What a task may ask for.
const (
	doGarbage = "print what is no message"
	doFlood   = "print a line without end"
	doChatter = "flood standard error"
	doHang    = "never answer"
	doFork    = "leave a process behind"
	doExit    = "end"

	doTakeTime = "answer a little later"
)

type workerDelivery struct {
	Deliver *struct {
		ID      int `json:"id"`
		Attempt int `json:"attempt"`
		Event   struct {
			Data task `json:"data"`
		} `json:"event"`
	} `json:"deliver"`
}

// runWorker is the worker.
func runWorker(pids string) error {
	if err := notePID(pids); err != nil {
		return err
	}
	fmt.Println(`{"hello":{"protocol":1,"concurrency":4}}`)
	var later sync.WaitGroup
	defer later.Wait()
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var m workerDelivery
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			return err
		}
		if m.Deliver == nil {
			continue
		}
		t := m.Deliver.Event.Data
		answer := fmt.Sprintf(`{"ack":{"id":%d,"append":[{"stream":"tasks","event":{"type":"task.done","data":{"n":%d}}}]}}`+"\n", m.Deliver.ID, t.N)
		switch {
		case m.Deliver.Attempt > t.Times:
		case t.Do == doTakeTime: // it is there when another event ends the process
			later.Go(func() { time.Sleep(20 * time.Millisecond); fmt.Print(answer) })
			continue
		case !misbehave(t.Do):
			continue
		}
		fmt.Print(answer)
	}
	return lines.Err()
}

// misbehave reports whether there is an answer after all.
func misbehave(what string) bool {
	switch what {
	case doGarbage:
		fmt.Println("hello world")
	case doFlood:
		piece := bytes.Repeat([]byte("x"), 1<<20)
		for range 64 { // until nobody reads any more
			if _, err := os.Stdout.Write(piece); err != nil {
				break
			}
		}
	case doChatter:
		for n := range 20_000 {
			fmt.Fprintln(os.Stderr, "chatter", n)
		}
		return true
	case doExit:
		os.Exit(3)
	case doFork:
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), sleeperEnv+"="+os.Getenv(workerEnv))
		child.Stdin, child.Stdout, child.Stderr = os.Stdin, os.Stdout, os.Stderr
		return child.Start() == nil
	}
	return false
}

// runMortal is a member whose process ends soon where an event says so, and which takes
// longer for the others, so that they are with it then.
func runMortal(servers string) error {
	c, err := client.New(client.Config{Servers: strings.Split(servers, ",")})
	if err != nil {
		return err
	}
	defer c.Close()
	return c.Consume(context.Background(), "mortal", managers.Consumer{Concurrency: 8,
		Handle: func(_ context.Context, d managers.Delivery) managers.Settlement {
			var t task
			if err := json.Unmarshal(d.Data, &t); err != nil {
				return managers.Settlement{Verb: managers.Park, Reason: err.Error()}
			}
			if t.Do == doExit {
				time.Sleep(50 * time.Millisecond)
				os.Exit(3)
			}
			time.Sleep(200 * time.Millisecond)
			return managers.Settlement{Effects: managers.Effects{Appends: []managers.Append{{
				Stream: "tasks", Expected: event.ExpectAny,
				Event: event.Event{ID: d.EffectID(), Source: "/mortal", Type: "task.done", Data: d.Data},
			}}}}
		}})
}

// runSleeper holds on to what it inherited until it is killed.
func runSleeper(pids string) error {
	if err := notePID(pids); err != nil {
		return err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer w.Close()
	_, err = io.Copy(io.Discard, r)
	return err
}

func notePID(dir string) error {
	return os.WriteFile(filepath.Join(dir, strconv.Itoa(os.Getpid())), nil, 0o600)
}

// living returns which of the processes of a folder live.
func living(t *testing.T, pids string) []int {
	t.Helper()
	entries, err := os.ReadDir(pids)
	must(t, err)
	var list []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		must(t, err)
		// The id may be another process's by now.
		command, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if errors.Is(err, os.ErrNotExist) && syscall.Kill(pid, 0) != nil || err == nil && !strings.HasPrefix(string(command), os.Args[0]) {
			continue
		}
		list = append(list, pid)
	}
	return list
}
