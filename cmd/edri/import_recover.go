package main

import (
	"context"
	"fmt"

	"github.com/edri-io/edri/event"
)

// recover goes on after a batch has ended without results: failed, and with it
// perhaps all that are under way.
func (im *importer) recover(ctx context.Context, failed *batch, cause error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	code := event.CodeOf(cause)
	if code == event.CodeUnavailable || code == event.CodeDeadlineExceeded {
		return cause // the client has tried for as long as it was told to
	}
	if im.fruitless++; im.fruitless > maxFruitless {
		return fmt.Errorf("opened the producer %d times without getting further: %w", maxFruitless, cause)
	}
	todo := []*batch{failed}
	for _, s := range im.underway {
		todo = append(todo, s.batch)
	}
	im.underway = nil
	im.p.Close()
	if err := im.reopen(ctx); err != nil {
		return err
	}
	if last := im.p.Last(); last > im.total.Last {
		im.total.Last, im.fruitless = last, 0
	}
	// The cluster refuses this batch as a whole, and not because another import
	// under the same name is further.
	refused := code != event.CodeOutcomeUnknown && code != event.CodeSessionExpired &&
		code != event.CodeEpochChanged && im.p.Last() < failed.first
	var again []*batch
	for i, b := range todo {
		b = im.remainder(b)
		switch {
		case b == nil:
		case refused && i == 0 && len(b.lines) == 1:
			// Nothing but this line can be the reason. The next batch covers it.
			im.carried, im.fruitless = b.first, 0
			if err := im.badLine(b.lines[0].number, cause); err != nil {
				return err
			}
		case refused && i == 0:
			again = split(b)
		default:
			again = append(again, b)
		}
	}
	im.waiting = append(again, im.waiting...)
	return nil
}

// remainder returns what of the batch is still to be executed, nil for nothing.
// What was executed without a result is counted so.
func (im *importer) remainder(b *batch) *batch {
	executed := im.p.Last()
	rest := *b
	rest.first = max(b.first, executed+1)
	for len(rest.lines) > 0 && rest.lines[0].number <= executed {
		rest.lines = rest.lines[1:]
		im.total.Unconfirmed++
	}
	if len(rest.lines) == 0 {
		if rest.last > executed {
			im.carried = rest.first // bad and blank lines, for the next batch
		}
		return nil
	}
	return &rest
}

// split makes a batch of each line, so that one that is refused as a whole spoils
// none of the others.
func split(b *batch) []*batch {
	parts := make([]*batch, len(b.lines))
	first := b.first
	for i, l := range b.lines {
		last := l.number
		if i == len(b.lines)-1 {
			last = b.last
		}
		parts[i] = &batch{first: first, last: last, lines: []line{l}, bytes: l.size, offset: b.offset}
		first = last + 1
	}
	return parts
}

func (im *importer) reopen(ctx context.Context) error {
	p, err := im.open(ctx)
	if err != nil {
		return fmt.Errorf("open producer: %w", err)
	}
	im.p = p
	return nil
}
