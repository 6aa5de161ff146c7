package main

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
)

func (a *app) subscriptionsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "subscriptions",
		Aliases: []string{"sub"},
		Short:   "Make, watch and consume subscriptions",
	}
	a.group(cmd)
	cmd.AddCommand(
		a.subscriptionsCreateCommand(), a.subscriptionsListCommand(), a.subscriptionsShowCommand(),
		a.subscriptionsUpdateCommand(), a.subscriptionsPauseCommand(), a.subscriptionsResumeCommand(),
		a.subscriptionsSeekCommand(), a.subscriptionsRemoveCommand(), a.subscriptionsDeadCommand(),
		a.subscriptionsRedriveCommand(), a.subscriptionsConsumeCommand(),
	)
	return cmd
}

// withClient runs f with a client, for a call that ends with --timeout.
func (a *app) withClient(ctx context.Context, f func(context.Context, *client.Client) error) error {
	c, err := a.connect(a.timeout)
	if err != nil {
		return err
	}
	defer c.Close()
	ctx, stop := a.waitFirst(ctx, client.Linearizable, 0)
	defer stop()
	err = f(ctx, c)
	if err != nil && event.CodeOf(err) != event.CodeOutcomeUnknown {
		return tooLong(ctx, err)
	}
	return err
}

// writeList writes what a listing returns, up to limit; 0: all. Its first answer comes
// within --timeout.
func writeList[T any](ctx context.Context, a *app, limit uint64, list func(context.Context, *client.Client) iter.Seq2[T, error],
	heading string, text func([]byte, T) []byte, asJSON func(T) any,
) error {
	c, err := a.connect(a.timeout)
	if err != nil {
		return err
	}
	defer c.Close()
	ctx, answered := a.waitFirst(ctx, client.Linearizable, 0)
	out := newListWriter(a.stdout, a.output)
	for item, err := range list(ctx, c) {
		if err != nil {
			return tooLong(ctx, err)
		}
		answered()
		if out.count == 0 && a.output == outputText && heading != "" {
			_, _ = fmt.Fprintln(out.out, heading) // close tells of errors
		}
		err := out.item(
			func(b []byte) ([]byte, error) { return text(b, item), nil },
			func(b []byte) ([]byte, error) { return appendJSONLine(b, asJSON(item)) },
		)
		if err != nil {
			return err
		}
		if limit > 0 && uint64(out.count) == limit {
			break
		}
	}
	answered()
	return out.close()
}

// subscriptionJSON is a subscription as JSON; durations as Go writes them, positions
// and counts of positions as decimal strings.
type subscriptionJSON struct {
	Name             string         `json:"name"`
	Filter           event.Filter   `json:"filter"`
	OrderingKey      string         `json:"ordering_key,omitempty"`
	AckWait          string         `json:"ack_wait"`
	MaxDeliver       int            `json:"max_deliver"`
	Backoff          []string       `json:"backoff"`
	MaxInFlight      int            `json:"max_in_flight"`
	MaxPending       int            `json:"max_pending"`
	MaxHoldAge       string         `json:"max_hold_age"`
	MaxHoldBytes     int64          `json:"max_hold_bytes,string"`
	Priority         int            `json:"priority"`
	DeadLetterStream string         `json:"dead_letter_stream"`
	Description      string         `json:"description,omitempty"`
	Version          uint32         `json:"version,omitempty"`
	Generation       uint64         `json:"generation,string"`
	Paused           bool           `json:"paused"`
	Note             string         `json:"note,omitempty"`
	Cursor           event.Position `json:"cursor,string"`
	Behind           uint64         `json:"behind,string"`
	Pending          int            `json:"pending"`
	Dead             int            `json:"dead"`
	OldestPosition   event.Position `json:"oldest_position,omitempty,string"`
	OldestTime       *time.Time     `json:"oldest_time,omitempty"`
	Members          int            `json:"members"`
	InFlight         int            `json:"in_flight"`
	Matched          event.Position `json:"matched,string"`
	Blocked          bool           `json:"blocked"`
	BlockingKey      string         `json:"blocking_key,omitempty"`
}

func newSubscriptionJSON(s client.SubscriptionInfo) subscriptionJSON {
	j := subscriptionJSON{
		Name: s.Name, Filter: s.Filter, OrderingKey: s.OrderingKey, AckWait: s.AckWait.String(), MaxDeliver: s.MaxDeliver,
		Backoff: formatDurations(s.Backoff), MaxInFlight: s.MaxInFlight, MaxPending: s.MaxPending, Priority: s.Priority,
		MaxHoldAge: s.MaxHoldAge.String(), MaxHoldBytes: s.MaxHoldBytes,
		DeadLetterStream: s.DeadLetterStream, Description: s.Description, Version: s.Version,
		Generation: s.Generation, Paused: s.Paused, Note: s.Note, Cursor: s.Cursor, Behind: s.Behind,
		Pending: s.Pending, Dead: s.Dead, OldestPosition: s.OldestPosition,
		Members: s.Members, InFlight: s.InFlight, Matched: s.Matched, Blocked: s.Blocked, BlockingKey: s.BlockingKey,
	}
	if !s.OldestStamp.IsZero() {
		j.OldestTime = &s.OldestStamp
	}
	return j
}

// writeChanged says what a subscription is after a change: a line for people, all of
// it for programs.
func (a *app) writeChanged(s client.SubscriptionInfo, text string) error {
	if a.output != outputText {
		return a.writeJSON(newSubscriptionJSON(s))
	}
	_, err := fmt.Fprintln(a.stdout, text)
	return wrapWrite(err)
}

// state is how a subscription is in one word.
func state(s client.SubscriptionInfo) string {
	switch {
	case s.Paused:
		return "paused"
	case s.Blocked:
		return "blocked"
	}
	return "active"
}

func formatDurations(durations []time.Duration) []string {
	texts := make([]string, len(durations))
	for i, d := range durations {
		texts[i] = d.String()
	}
	return texts
}

func formatFilter(f event.Filter) string {
	b, err := json.Marshal(f)
	if text := string(b); err == nil && text != "{}" {
		return text
	}
	return "every event"
}

// appendJSONLine appends v on one line.
func appendJSONLine(b []byte, v any) ([]byte, error) {
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return b, fmt.Errorf("encode output: %w", err)
	}
	return append(b, strings.TrimSuffix(text.String(), "\n")...), nil
}
