package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
)

// producer is what an import needs of a client.Producer.
type producer interface {
	Last() uint64
	Commit(ctx context.Context, first, last uint64, ops []client.Op) (pending, error)
	Close()
}

type pending interface {
	Done() <-chan struct{}
	Wait(ctx context.Context) (client.Result, error)
}

// maxUnderWay is how many batches are under way; see maxBatchLines.
const maxUnderWay = 8

// maxFruitless is how often in a row the producer is opened again without any
// line executed since.
const maxFruitless = 5

// importer sends the lines of an input to the cluster, each line number as a
// sequence of one named producer, several batches under way at once.
//
// When a batch ends without results, whatever the reason, the importer opens the
// producer again, asks which lines were executed, and goes on from there: what
// was executed is dropped, the rest is sent again. It never guesses, so it may be
// interrupted anywhere, and even run twice at once.
//
// Only run's goroutine uses the fields.
type importer struct {
	open   func(context.Context) (producer, error)
	lines  *lineReader
	strict bool
	report func(line uint64, err error)
	show   *progress

	total summary

	p        producer
	underway []*sent  // in the order of their lines
	waiting  []*batch // to be sent before anything that is read
	// carried is the first line that no batch covers yet, if lines before the next
	// batch were given up; else 0.
	carried   uint64
	fruitless int
	ended     bool // all lines were read
}

type sent struct {
	batch  *batch
	result pending
}

// errStrict ends an import with --strict.
var errStrict = errors.New("stopped at the first bad line (--strict)")

func (im *importer) run(ctx context.Context) error {
	if err := im.reopen(ctx); err != nil {
		return err
	}
	defer func() { im.p.Close() }()
	im.total.Last = im.p.Last()
	im.show.update(im.total, 0)
	// One batch is being read while one waits to be sent.
	incoming := make(chan found, 1)
	ctx, stopReading := context.WithCancel(ctx)
	go readBatches(ctx, im.lines, im.p.Last(), im.strict, incoming)
	// A read of a terminal or pipe cannot be interrupted; the goroutine then ends
	// with the process.
	defer stopReading()
	for !im.ended || len(im.underway)+len(im.waiting) > 0 {
		if err := im.step(ctx, incoming); err != nil {
			return err
		}
	}
	return nil
}

// step settles, sends or receives one batch.
func (im *importer) step(ctx context.Context, incoming <-chan found) error {
	depth := maxUnderWay
	if im.strict {
		depth = 1
	}
	switch {
	case len(im.underway) == depth:
		return im.settle(ctx)
	case len(im.waiting) > 0:
		b := im.waiting[0]
		if len(b.lines) == 1 && len(im.underway) > 0 {
			// A batch of one may be refused, and then those before it are in doubt.
			return im.settle(ctx)
		}
		im.waiting = im.waiting[1:]
		return im.send(ctx, b)
	case im.ended:
		return im.settle(ctx)
	}
	var result <-chan struct{}
	if len(im.underway) > 0 {
		result = im.underway[0].result.Done()
	}
	select {
	case f, ok := <-incoming:
		if !ok { // it did not come to its end
			return context.Cause(ctx)
		}
		return im.take(ctx, f)
	case <-result:
		return im.settle(ctx)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (im *importer) take(ctx context.Context, f found) error {
	im.total.Skipped += f.skipped
	im.total.Lines = f.lines
	switch {
	case f.bad != nil:
		if im.strict {
			for len(im.underway)+len(im.waiting) > 0 {
				if err := im.drain(ctx); err != nil {
					return err
				}
			}
		}
		return im.badLine(f.line, f.bad)
	case errors.Is(f.err, io.EOF):
		im.ended = true
		return im.checkLength(f.lines)
	case f.err != nil:
		return f.err
	case f.batch != nil:
		im.waiting = append(im.waiting, f.batch)
	}
	return nil
}

// errOtherInput ends an import under a name that stands for another input.
var errOtherInput = errors.New("it is another input, and nothing of it was stored")

// checkLength refuses an input of fewer lines than were executed under its name:
// its lines were taken for those of the other and passed over.
func (im *importer) checkLength(lines uint64) error {
	if executed := im.p.Last(); lines < executed {
		return fmt.Errorf("the input has %s, and %d were executed under this producer's name: %w", counted(lines, "line"), executed, errOtherInput)
	}
	return nil
}

// drain sends or settles one batch.
func (im *importer) drain(ctx context.Context) error {
	if len(im.underway) > 0 {
		return im.settle(ctx)
	}
	b := im.waiting[0]
	im.waiting = im.waiting[1:]
	return im.send(ctx, b)
}

// badLine counts and reports a line that is not stored. With strict the import
// ends with it.
func (im *importer) badLine(number uint64, why error) error {
	im.total.Bad++
	im.report(number, why)
	if im.strict {
		return errStrict
	}
	return nil
}

// send sends what of a batch is still to be executed: another import under the
// same name may be ahead of this one.
func (im *importer) send(ctx context.Context, b *batch) error {
	if b = im.remainder(b); b == nil {
		return nil
	}
	if im.carried > im.p.Last() {
		b.first, im.carried = im.carried, 0
	}
	result, err := im.p.Commit(ctx, b.first, b.last, b.ops())
	if err != nil && len(im.underway) > 0 {
		// Most likely one of those has ended the producer; what it ended with is
		// the reason, and they come first.
		im.waiting = append([]*batch{b}, im.waiting...)
		return im.settle(ctx)
	}
	if err != nil {
		return im.recover(ctx, b, err)
	}
	im.underway = append(im.underway, &sent{b, result})
	return nil
}

// settle waits for the oldest batch that is under way.
func (im *importer) settle(ctx context.Context) error {
	s := im.underway[0]
	result, err := s.result.Wait(ctx)
	if err == nil && len(result.Results) != len(s.batch.lines) {
		err = event.Errorf(event.CodeInternal, "server answered %d of %d lines", len(result.Results), len(s.batch.lines))
	}
	if err != nil {
		im.underway = im.underway[1:]
		return im.recover(ctx, s.batch, err)
	}
	im.underway = im.underway[1:]
	im.fruitless = 0
	im.total.Last = s.batch.last
	for i, r := range result.Results {
		switch {
		case r.Err != nil:
			if err := im.badLine(s.batch.lines[i].number, r.Err); err != nil {
				return err
			}
		case r.Duplicate:
			im.total.Duplicates++
		default:
			im.total.Stored++
		}
	}
	im.show.update(im.total, s.batch.offset)
	return nil
}
