package main

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"time"

	"github.com/spf13/cobra"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
)

// deadLetterJSON is a dead letter as JSON.
type deadLetterJSON struct {
	Position event.Position `json:"position,string"`
	Time     time.Time      `json:"time"`
	Attempts []attemptJSON  `json:"attempts"`
	// Event is absent where retention has ended it.
	Event json.RawMessage `json:"event,omitempty"`
}

type attemptJSON struct {
	Time   time.Time `json:"time"`
	Reason string    `json:"reason"`
}

func (a *app) subscriptionsDeadCommand() *cobra.Command {
	var limit uint64
	cmd := &cobra.Command{
		Use:   "dead NAME",
		Short: "List the dead letters of a subscription",
		Long: `List the events that a subscription has given up, in the order of their positions:
the position, when it was given up, after how many attempts, the reason of the last,
and the event. JSON has every attempt.`,
		Example: `  edri subscriptions dead orders
  edri subscriptions dead orders --output jsonl`,
		Args: cobra.ExactArgs(1),
		RunE: a.does(func(ctx context.Context, args []string) error { return a.listDead(ctx, args[0], limit) }),
	}
	cmd.Flags().Uint64Var(&limit, "limit", 0, "at most so many; 0 for all")
	return cmd
}

func (a *app) listDead(ctx context.Context, name string, limit uint64) error {
	return writeList(ctx, a, limit,
		func(ctx context.Context, c *client.Client) iter.Seq2[client.DeadLetter, error] {
			return c.DeadLetters(ctx, name, client.Linearizable)
		},
		"", appendDeadLine,
		func(d client.DeadLetter) any { return newDeadLetterJSON(d) },
	)
}

func appendDeadLine(b []byte, d client.DeadLetter) []byte {
	reason := ""
	if n := len(d.Attempts); n > 0 {
		reason = d.Attempts[n-1].Reason
	}
	b = fmt.Appendf(b, "%d  %s  %s  %s  ", d.Position, formatTime(d.Stamp), counted(len(d.Attempts), "attempt"), preview([]byte(reason)))
	if d.Event == nil {
		return append(b, "(the event is gone by retention)"...)
	}
	return fmt.Appendf(b, "%s  %s  %s  %s", printable(d.Event.Stream), printable(d.Event.Type), printable(d.Event.ID), preview(d.Event.Data))
}

func newDeadLetterJSON(d client.DeadLetter) deadLetterJSON {
	j := deadLetterJSON{Position: d.Position, Time: d.Stamp, Attempts: []attemptJSON{}}
	for _, a := range d.Attempts {
		j.Attempts = append(j.Attempts, attemptJSON{Time: a.Stamp, Reason: a.Reason})
	}
	if d.Event != nil {
		j.Event = d.Event.AppendJSON(nil)
	}
	return j
}
