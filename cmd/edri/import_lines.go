package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
)

// maxLineBytes has room for the largest event in its longest spelling: a megabyte
// of data with every character escaped.
const maxLineBytes = 8 << 20

// What a batch has at most. The cluster keeps 64 KiB of a session's results to
// give them again after a failover, so those of all batches under way must be
// less: 8 batches of 256 results of about 20 bytes.
const (
	maxBatchLines = 256
	maxBatchBytes = 512 << 10
)

// line is a line with an event.
type line struct {
	number uint64
	op     client.Op
	size   int
}

// batch is a run of lines: those from first to last, of which lines have events.
type batch struct {
	first, last uint64
	lines       []line
	bytes       int
	offset      int64 // of the input behind last
}

func (b *batch) ops() []client.Op {
	ops := make([]client.Op, len(b.lines))
	for i := range b.lines {
		ops[i] = b.lines[i].op
	}
	return ops
}

// lineReader cuts the input into lines. It holds one line at a time.
type lineReader struct {
	in     *bufio.Reader
	number uint64
	offset int64
	buf    []byte
}

func newLineReader(r io.Reader) *lineReader {
	return &lineReader{in: bufio.NewReaderSize(r, 256<<10)}
}

// buffered reports whether a further line can be begun without waiting for input.
func (l *lineReader) buffered() bool { return l.in.Buffered() > 0 }

// errLineTooLong says that a line was longer than maxLineBytes.
var errLineTooLong = fmt.Errorf("line is longer than %d bytes", maxLineBytes)

// next returns the next line without the space around it, valid until the next
// call. The error is io.EOF at the end, and errLineTooLong for a line that was
// passed over.
func (l *lineReader) next() ([]byte, error) {
	l.buf = l.buf[:0]
	size, tooLong := 0, false
	for {
		part, err := l.in.ReadSlice('\n')
		size += len(part)
		if !tooLong && len(l.buf)+len(part) <= maxLineBytes+1 { // the newline is not counted
			l.buf = append(l.buf, part...)
		} else {
			tooLong = true
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("read input: %w", err)
		}
		if size == 0 {
			return nil, io.EOF
		}
		break
	}
	l.number++
	l.offset += int64(size)
	if tooLong {
		return nil, errLineTooLong
	}
	text := l.buf
	if l.number == 1 {
		text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	}
	return bytes.TrimSpace(text), nil
}

// parseLine makes an operation of a line that is not blank.
func parseLine(text []byte) (client.Op, error) {
	e, err := event.DecodeJSON(text)
	if err != nil {
		return client.Op{}, err
	}
	return client.AppendOp("", event.ExpectAny, e), nil
}

// found is what readBatches sends: a batch, or a line that is not an event.
type found struct {
	batch *batch
	bad   error // of line number
	line  uint64
	// skipped lines with events lie behind the last thing sent and were executed
	// by an earlier run.
	skipped uint64
	lines   uint64 // read in all
	err     error  // why the input ends, io.EOF at its end
}

// readBatches reads all lines and sends them in batches, the first for line
// last+1. Bad lines are sent as they are met, before the batch around them; with
// strict the first ends the reading, and a batch has one line.
//
// A batch without events is not sent: its lines are part of the next, if one
// comes.
func readBatches(ctx context.Context, lines *lineReader, last uint64, strict bool, out chan<- found) {
	defer close(out)
	var skipped uint64
	send := func(f found) bool {
		f.skipped, f.lines = skipped, lines.number
		select {
		case out <- f:
			skipped = 0
			return true
		case <-ctx.Done():
			return false
		}
	}
	b := &batch{first: last + 1}
	flush := func() bool {
		if len(b.lines) == 0 {
			return true
		}
		sent := b
		b = &batch{first: sent.last + 1}
		return send(found{batch: sent})
	}
	for {
		text, err := lines.next()
		bad := errors.Is(err, errLineTooLong)
		if err != nil && !bad {
			_ = flush() && send(found{err: err}) // false: nobody waits for it
			return
		}
		var op client.Op
		if !bad && len(text) > 0 {
			op, err = parseLine(text)
			bad = err != nil
		}
		if bad {
			if strict && !flush() || !send(found{bad: err, line: lines.number}) || strict {
				return
			}
		}
		event := !bad && len(text) > 0
		if lines.number <= last {
			if event {
				skipped++
			}
			continue
		}
		if event && len(b.lines) > 0 && b.bytes+len(text) > maxBatchBytes && !flush() {
			return
		}
		if event {
			b.lines = append(b.lines, line{lines.number, op, len(text)})
			b.bytes += len(text)
		}
		b.last, b.offset = lines.number, lines.offset
		if (strict || len(b.lines) == maxBatchLines || !lines.buffered()) && !flush() {
			return
		}
	}
}
