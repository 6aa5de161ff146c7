package main

import (
	"context"
	"fmt"
	"time"

	"github.com/edri-io/edri/event"
)

// appendLater has an event appended at a time.
func (a *app) appendLater(ctx context.Context, f appendFlags, e event.Event) error {
	at, err := parseAhead("deliver-at", f.deliverAt, time.Now())
	if err != nil {
		return err
	}
	c, err := a.connect(a.timeout)
	if err != nil {
		return err
	}
	defer c.Close()
	duplicate, err := c.AppendLater(ctx, f.stream, e, at)
	if event.CodeOf(err) == event.CodeOutcomeUnknown {
		return fmt.Errorf("%w; the event may wait or not: the same command with --source %s --id %s --deliver-at %s finds out", err, e.Source, e.ID, at.UTC().Format(time.RFC3339Nano))
	}
	if err != nil {
		return err
	}
	if a.output != outputText {
		return a.writeJSON(struct {
			DeliverAt time.Time `json:"deliver_at"`
			Duplicate bool      `json:"duplicate"`
			ID        string    `json:"id"`
			Source    string    `json:"source"`
		}{at.UTC(), duplicate, e.ID, e.Source})
	}
	text := "waits until " + formatTime(at)
	if duplicate {
		text += " already"
	}
	_, err = fmt.Fprintln(a.stdout, text)
	return wrapWrite(err)
}
