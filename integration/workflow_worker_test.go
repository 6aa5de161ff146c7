package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/integration/cluster"
	"github.com/edri-io/edri/managers"
	"github.com/edri-io/edri/workflows"
)

// flowEnv makes the test binary a worker of workflows: servers, name, and which of
// flowRoles it is.
const flowEnv = "EDRI_TEST_FLOWS"

// flowRoles are what workers may have.
var flowRoles = map[string]func(c *client.Client) []workflows.Defined{
	"trial": trialFlows, "slow": slowFlows, "strict": strictFlows,
	"broken": fragileFlows(true), "mended": fragileFlows(false),
	"v1": versionFlows(1), "v2": versionFlows(2),
}

func runFlows(spec string) error {
	parts := strings.Split(spec, " ")
	c, err := client.New(client.Config{Servers: strings.Split(parts[0], ",")})
	if err != nil {
		return err
	}
	defer c.Close()
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	runner, err := workflows.NewRunner(workflows.Config{
		Name: parts[1], StuckAfter: 2 * time.Second, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	}, flowRoles[parts[2]](c)...)
	if err != nil {
		return err
	}
	go func() { cancel(runDoubler(ctx, c)) }()
	if err := runner.Run(ctx, c); err != nil {
		return err
	}
	return context.Cause(ctx)
}

// runDoubler answers the requests of trial.
func runDoubler(ctx context.Context, c *client.Client) error {
	m, err := managers.New("doubler", managers.Config{Start: managers.Start{First: true}})
	if err != nil {
		return err
	}
	managers.Handle(m, "trial.double", func(_ context.Context, n int) (e managers.Effects, _ error) {
		e.Respond(2 * n)
		return e, nil
	})
	return m.Run(ctx, c)
}

func flowWorker(t *testing.T, c *cluster.Cluster, name, role string) *cluster.Process {
	t.Helper()
	p := cluster.NewProcess(name, filepath.Join(t.TempDir(), name+".log"), os.Args[0],
		[]string{fmt.Sprintf("%s=%s %s %s", flowEnv, strings.Join(c.URLs(), ","), name, role)})
	must(t, p.Start())
	t.Cleanup(func() {
		if p.Running() {
			must(t, p.Kill())
		}
		if t.Failed() {
			t.Logf("end of the log of %s:\n%s", name, tail(p.LogPath))
		}
	})
	return p
}

// rerun kills a worker and starts it again.
func rerun(t *testing.T, p *cluster.Process) {
	t.Helper()
	must(t, p.Kill())
	must(t, p.Start())
}

// Where the effects of steps are: an event of a type, and a key that counts.
const (
	flowEffect = "trial.effect"
	flowCounts = "trial"
)

// effected is the data of an event that a step appended.
type effected struct {
	Run, What string
}

func (e effected) key() string { return e.Run + "/" + e.What }

// count leaves the effects of a step: an event whose id is its own, so that only the
// commit of the step keeps it from being there twice, and a key that is one more.
func count(ctx context.Context, c *client.Client, e effected) error {
	k, err := c.ReadKey(ctx, flowCounts, e.key())
	if err != nil && event.CodeOf(err) != event.CodeNotFound {
		return err
	}
	n, _ := strconv.Atoi(string(k.Value)) // none is 0
	made := workflows.Effects(ctx)
	made.Emit("effects", flowEffect, e)
	made.Appends[0].Event.ID = fmt.Sprint(rand.Uint64())
	made.Put(flowCounts, e.key(), strconv.Itoa(n+1))
	return nil
}

// trialFlows are a workflow of everything, and its child.
func trialFlows(c *client.Client) []workflows.Defined {
	patient := workflows.StepOptions{Retry: workflows.Retry{Initial: 50 * time.Millisecond, Max: time.Second}}
	add := workflows.NewStep("add", func(ctx context.Context, in addition) (int, error) {
		time.Sleep(time.Duration(rand.IntN(100)) * time.Millisecond) // be there when something is killed
		return in.A + in.B, count(ctx, c, effected{in.Run, in.What})
	}, patient)
	double := workflows.NewRequest[int, int]("trial.double", workflows.RequestOptions{
		Stream: "trial-requests", Timeout: 5 * time.Second, Retry: patient.Retry,
	})
	child := workflows.Define("trial-child", 1, func(ctx workflows.Context, n int) (int, error) {
		return add.Do(ctx, addition{workflows.Info(ctx).Parent, "child", n, 5})
	})
	trial := workflows.Define("trial", 1, func(ctx workflows.Context, n int) (int, error) {
		id := workflows.Info(ctx).ID
		n, err := add.Do(ctx, addition{id, "first", n, 1})
		if err != nil {
			return 0, err
		}
		var parts []*workflows.Future[int]
		for i := range 3 {
			parts = append(parts, add.Start(ctx, addition{id, fmt.Sprint("part", i), 0, i}))
		}
		for _, p := range parts {
			i, err := p.Get(ctx)
			if err != nil {
				return 0, err
			}
			n += i
		}
		if err := workflows.Sleep(ctx, 200*time.Millisecond); err != nil {
			return 0, err
		}
		more, err := workflows.Signals[int](ctx, "more").Receive(ctx)
		if err != nil {
			return 0, err
		}
		if n, err = child.RunChild(ctx, n+more); err != nil {
			return 0, err
		}
		if n, err = double.Do(ctx, n); err != nil {
			return 0, err
		}
		return add.Do(ctx, addition{id, "last", n, 7})
	})
	return []workflows.Defined{trial, child}
}

type addition struct {
	Run, What string
	A, B      int
}

// trialEffects are what a run of trial leaves.
var trialEffects = []string{"first", "part0", "part1", "part2", "child", "last"}

// trialResult is the result of trial with the signal m.
func trialResult(n, m int) int { return 2*(n+1+3+m+5) + 7 }

func decoded[T any](t *testing.T, data []byte) (v T) {
	t.Helper()
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	return v
}
