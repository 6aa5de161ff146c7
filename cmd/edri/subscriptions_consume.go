package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/managers"
)

// deliveryJSON is a delivery as JSON.
type deliveryJSON struct {
	Subscription string         `json:"subscription"`
	Generation   uint64         `json:"generation,string"`
	Position     event.Position `json:"position,string"`
	Attempt      int            `json:"attempt"`
	EffectID     string         `json:"effect_id"`
	// Deadline is that of a request.
	Deadline *time.Time      `json:"deadline,omitempty"`
	Event    json.RawMessage `json:"event"`
}

func (a *app) subscriptionsConsumeCommand() *cobra.Command {
	var credits int
	var limit uint64
	cmd := &cobra.Command{
		Use:   "consume NAME",
		Short: "Print the deliveries of a subscription and acknowledge them",
		Long: `Be a member of a subscription until interrupted: print each delivery, one line each,
and acknowledge it once the line is written. What is interrupted between the two is
delivered again. With --limit they are taken one at a time, and no more are taken.`,
		Example: `  edri subscriptions consume orders
  edri subscriptions consume orders --output jsonl --credits 64 >>orders.jsonl`,
		Args: cobra.ExactArgs(1),
	}
	cmd.Flags().IntVar(&credits, "credits", 1, "deliveries that may be on their way at a time")
	cmd.Flags().Uint64Var(&limit, "limit", 0, "end after so many; 0 for never")
	cmd.MarkFlagsMutuallyExclusive("credits", "limit")
	cmd.RunE = a.does(func(ctx context.Context, args []string) error {
		if credits < 1 {
			return usagef("--credits %d: must be at least 1", credits)
		}
		return a.consume(ctx, args[0], credits, limit)
	})
	return cmd
}

// errConsumed is the cause of the end when --limit is reached.
var errConsumed = errors.New("limit reached")

// consumption prints deliveries.
type consumption struct {
	end   context.CancelCauseFunc
	limit uint64

	mu  sync.Mutex
	out *listWriter
}

func (a *app) consume(ctx context.Context, name string, credits int, limit uint64) error {
	c, err := a.connect(a.timeout)
	if err != nil {
		return err
	}
	defer c.Close()
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	p := &consumption{end: end, limit: limit, out: newListWriter(a.stdout, a.output)}
	host, _ := os.Hostname() // only a name for people
	err = c.Consume(ctx, name, managers.Consumer{
		Member: fmt.Sprintf("edri@%s:%d", host, os.Getpid()), Concurrency: credits,
		Handle: p.print,
		Refused: func(d managers.Delivery, err error) {
			a.note(fmt.Sprintf("position %d was printed, and is not acknowledged: %v", d.Position, err))
		},
	})
	if cause := context.Cause(ctx); err == nil && !errors.Is(cause, errConsumed) {
		err = cause
	}
	if err != nil && p.out.count == 0 {
		return err // nothing of a list was begun
	}
	return errors.Join(err, p.out.close())
}

// print writes a delivery; it is acknowledged only then.
func (p *consumption) print(ctx context.Context, d managers.Delivery) managers.Settlement {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := ctx.Err(); err != nil { // while others were written
		return managers.Settlement{Verb: managers.Nak, Reason: context.Cause(ctx).Error()}
	}
	if err := p.write(&d); err != nil {
		p.end(err)
		return managers.Settlement{Verb: managers.Nak, Reason: err.Error()}
	}
	if p.limit > 0 && uint64(p.out.count) == p.limit {
		p.end(errConsumed)
	}
	return managers.Settlement{}
}

func (p *consumption) write(d *managers.Delivery) error {
	err := p.out.item(
		func(b []byte) ([]byte, error) {
			b = appendEventLine(b, &d.Recorded)
			if d.Attempt > 1 {
				b = fmt.Appendf(b, "  (attempt %d)", d.Attempt)
			}
			return b, nil
		},
		func(b []byte) ([]byte, error) { return appendJSONLine(b, newDeliveryJSON(d)) },
	)
	if err != nil {
		return err
	}
	return p.out.flush()
}

func newDeliveryJSON(d *managers.Delivery) deliveryJSON {
	j := deliveryJSON{
		Subscription: d.Subscription, Generation: d.Generation, Position: d.Position, Attempt: d.Attempt,
		EffectID: d.EffectID(), Event: d.AppendJSON(nil),
	}
	if !d.Deadline.IsZero() {
		j.Deadline = &d.Deadline
	}
	return j
}
