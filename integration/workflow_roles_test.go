package integration

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/workflows"
)

// What the code of "fragile" does wrong where it is broken.
const (
	byPanic     = "panic"
	byBlocking  = "stuck"
	byGoroutine = "goroutine"
	byNothing   = "nothing"
)

// fragileFlows is a workflow that does what its input says, if it is broken, between two
// steps.
func fragileFlows(broken bool) func(c *client.Client) []workflows.Defined {
	step := workflows.NewStep("add", func(_ context.Context, n int) (int, error) { return n + 1, nil })
	return func(*client.Client) []workflows.Defined {
		return []workflows.Defined{workflows.Define("fragile", 1, func(ctx workflows.Context, wrong string) (int, error) {
			n, err := step.Do(ctx, 1)
			if err != nil {
				return 0, err
			}
			if broken {
				doWrong(ctx, wrong)
			}
			return step.Do(ctx, n)
		})}
	}
}

func doWrong(ctx workflows.Context, what string) {
	switch what {
	case byPanic:
		panic("oh no")
	case byBlocking:
		select {}
	case byGoroutine:
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = workflows.Sleep(ctx, time.Millisecond)
		}()
		<-done
	}
}

// slowFlows is a workflow of a step that says when it begins, takes its time, and has an
// effect. Its result is the attempt that was committed.
func slowFlows(c *client.Client) []workflows.Defined {
	step := workflows.NewStep("slow", func(ctx context.Context, takes map[string]string) (int, error) {
		id, _, _ := strings.Cut(workflows.EffectID(ctx), "/")
		_, err := c.Append(ctx, began(id), event.ExpectAny, event.Event{ID: fmt.Sprint(rand.Uint64()), Source: "/slow", Type: "slow.began"})
		if err != nil {
			return 0, err
		}
		d, err := time.ParseDuration(takes[fmt.Sprint(workflows.Attempt(ctx))])
		if err != nil {
			d = 10 * time.Millisecond
		}
		time.Sleep(d)
		return workflows.Attempt(ctx), count(ctx, c, effected{id, "slow"})
	}, workflows.StepOptions{Retry: workflows.Retry{Initial: 50 * time.Millisecond}})
	return []workflows.Defined{workflows.Define("slow", 1, func(ctx workflows.Context, takes map[string]string) (int, error) {
		return step.Do(ctx, takes)
	})}
}

// began is the stream to which attempts of the step of a run say that they begin.
func began(id string) string { return "began/" + id }

// versionFlows is a version of a workflow that waits for a signal and tells its version.
func versionFlows(version uint32) func(c *client.Client) []workflows.Defined {
	return func(*client.Client) []workflows.Defined {
		return []workflows.Defined{workflows.Define("versioned", version, func(ctx workflows.Context, _ struct{}) (uint32, error) {
			_, err := workflows.Signals[string](ctx, "go").Receive(ctx)
			return version, err
		})}
	}
}

// strictFlows are a workflow with an input that not everything is, and one whose step
// returns 2 MiB.
func strictFlows(*client.Client) []workflows.Defined {
	large := workflows.NewStep("large", func(context.Context, struct{}) (string, error) {
		return strings.Repeat("x", 2<<20), nil
	})
	return []workflows.Defined{
		workflows.Define("strict", 1, func(_ workflows.Context, n int) (int, error) { return n, nil }),
		workflows.Define("large", 1, func(ctx workflows.Context, in struct{}) (string, error) { return large.Do(ctx, in) }),
	}
}
