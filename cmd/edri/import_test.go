package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
)

// trouble is what happens to a commit.
type trouble int

const (
	none        trouble = iota
	lost                // not executed, nor anything behind it
	resultLost          // executed, but nobody learns of it
	unavailable         // not executed, and the client has given up
	interrupt           // executed, and the user interrupts the import
)

// fakeCluster keeps one producer's sequences and what they stored, by line.
type fakeCluster struct {
	ops      map[uint64]client.Op // of the lines with events
	refused  map[uint64]bool      // lines that spoil their whole commit
	conflict map[uint64]bool      // lines that fail by themselves
	trouble  func(commit int) trouble
	stop     context.CancelCauseFunc // of the import, for interrupt

	mu      sync.Mutex
	commits int
	last    uint64
	stored  map[uint64]int // how often
}

func newFakeCluster(t *testing.T, text string) *fakeCluster {
	t.Helper()
	c := &fakeCluster{
		ops: map[uint64]client.Op{}, refused: map[uint64]bool{}, conflict: map[uint64]bool{},
		stored: map[uint64]int{}, trouble: func(int) trouble { return none },
	}
	lines := newLineReader(strings.NewReader(text))
	for {
		line, err := lines.next()
		if errors.Is(err, io.EOF) {
			return c
		}
		if op, err := parseLine(line); err == nil {
			c.ops[lines.number] = op
		}
	}
}

type fakeProducer struct {
	cluster *fakeCluster
	start   uint64
	broken  error // what follows ends so
	next    uint64
}

func (c *fakeCluster) open(ctx context.Context) (producer, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return &fakeProducer{cluster: c, start: c.last, next: c.last + 1}, nil
}

func (p *fakeProducer) Last() uint64 { return p.start }
func (p *fakeProducer) Close()       {}

func (p *fakeProducer) Commit(_ context.Context, first, last uint64, ops []client.Op) (pending, error) {
	if first != p.next || last < first {
		return nil, fmt.Errorf("sequences %d to %d, the next is %d", first, last, p.next)
	}
	p.next = last + 1
	result, err := p.execute(first, last, ops)
	return fakePending{result, err}, nil
}

func (p *fakeProducer) execute(first, last uint64, ops []client.Op) (client.Result, error) {
	c := p.cluster
	c.mu.Lock()
	defer c.mu.Unlock()
	if p.broken != nil {
		return client.Result{}, p.broken
	}
	happens := c.trouble(c.commits)
	c.commits++
	unknown := event.Errorf(event.CodeOutcomeUnknown, "the result is lost")
	switch happens {
	case lost:
		p.broken = unknown
		return client.Result{}, unknown
	case unavailable:
		p.broken = event.Errorf(event.CodeUnavailable, "no server")
		return client.Result{}, p.broken
	}
	if first != c.last+1 {
		p.broken = event.Errorf(event.CodeInvalid, "sequence %d: the next is %d", first, c.last+1)
		return client.Result{}, p.broken
	}
	var lines []uint64
	n := first
	for _, op := range ops {
		for ; n <= last && !reflect.DeepEqual(c.ops[n], op); n++ {
		}
		if n > last {
			return client.Result{}, fmt.Errorf("an operation is of no line in %d to %d", first, last)
		}
		if c.refused[n] {
			p.broken = event.Errorf(event.CodeTooLarge, "refused as a whole")
			return client.Result{}, p.broken
		}
		lines = append(lines, n)
		n++
	}
	c.last = last
	var result client.Result
	for _, n := range lines {
		if c.conflict[n] {
			result.Results = append(result.Results, client.OpResult{Err: event.IDConflict("/s", "x", 1)})
			continue
		}
		c.stored[n]++
		result.Results = append(result.Results, client.OpResult{})
	}
	switch happens {
	case resultLost:
		p.broken = unknown
		return client.Result{}, unknown
	case interrupt:
		c.stop(errInterrupted)
	}
	return result, nil
}

type fakePending struct {
	result client.Result
	err    error
}

var closed = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

func (p fakePending) Done() <-chan struct{}                       { return closed }
func (p fakePending) Wait(context.Context) (client.Result, error) { return p.result, p.err }

// eventLine is a line with an event.
func eventLine(id int) string {
	return fmt.Sprintf(`{"specversion":"1.0","id":"%d","source":"/s","type":"t"}`, id)
}

// manyLines has blank lines, and bad ones at the numbers returned.
func manyLines(n int) (text string, bad []uint64) {
	var b strings.Builder
	for i := 1; i <= n; i++ {
		switch {
		case i%97 == 0:
			bad = append(bad, uint64(i))
			b.WriteString("{}\n")
		case i%41 == 0:
			b.WriteString(" \t\n")
		default:
			b.WriteString(eventLine(i) + "\n")
		}
	}
	return b.String(), bad
}

// imported is what one run of an import did.
type imported struct {
	total summary
	bad   []uint64
	err   error
}

func (c *fakeCluster) run(t *testing.T, text io.Reader, strict bool) imported {
	t.Helper()
	ctx, stop := context.WithCancelCause(t.Context())
	defer stop(nil)
	c.stop = stop
	var got imported
	im := &importer{
		open: c.open, lines: newLineReader(text), strict: strict,
		report: func(line uint64, _ error) { got.bad = append(got.bad, line) },
		show:   newProgress(io.Discard, true, 0),
	}
	got.err = im.run(ctx)
	got.total = im.total
	return got
}

// check holds the cluster to having every event line but those once.
func (c *fakeCluster) check(t *testing.T, except ...uint64) {
	t.Helper()
	for n := range c.ops {
		want := 1
		if slices.Contains(except, n) {
			want = 0
		}
		if c.stored[n] != want {
			t.Errorf("line %d is stored %d times, want %d", n, c.stored[n], want)
		}
	}
}

func TestImportStoresEveryLineOnceWhateverHappensAtAnyBatch(t *testing.T) {
	t.Parallel()
	text, bad := manyLines(1500)
	for at := range 7 {
		for _, what := range []trouble{lost, resultLost, unavailable, interrupt} {
			t.Run(fmt.Sprintf("trouble %d at batch %d", what, at), func(t *testing.T) {
				t.Parallel()
				c := newFakeCluster(t, text)
				c.trouble = func(commit int) trouble {
					if commit == at {
						return what
					}
					return none
				}
				first := c.run(t, strings.NewReader(text), false)
				// After the last batch there is nothing left to interrupt.
				if what == interrupt && at < 5 && !errors.Is(first.err, errInterrupted) {
					t.Errorf("interrupted import: got %v", first.err)
				}
				if what == unavailable && at < 6 && event.CodeOf(first.err) != event.CodeUnavailable {
					t.Errorf("import without a server: got %v", first.err)
				}
				if first.err == nil && what == resultLost && at < 6 && first.total.Unconfirmed == 0 {
					t.Error("lines with a lost result are not counted as unconfirmed")
				}
				if first.err != nil {
					again := c.run(t, strings.NewReader(text), false)
					if again.err != nil || !slices.Equal(again.bad, bad) {
						t.Errorf("second run: %v, bad lines %v, want %v", again.err, again.bad, bad)
					}
				} else if !slices.Equal(first.bad, bad) {
					t.Errorf("bad lines: got %v, want %v", first.bad, bad)
				}
				c.check(t)
			})
		}
	}
}

func TestImportOverRepeatedTroubleGetsThere(t *testing.T) {
	t.Parallel()
	text, bad := manyLines(5000)
	c := newFakeCluster(t, text)
	c.trouble = func(commit int) trouble { return []trouble{lost, none, resultLost}[commit%3] }
	got := c.run(t, strings.NewReader(text), false)
	if got.err != nil || !slices.Equal(got.bad, bad) {
		t.Errorf("%v, bad lines %v", got.err, got.bad)
	}
	if n := got.total; n.Stored+n.Unconfirmed != uint64(len(c.ops)) || n.Lines != 5000 {
		t.Errorf("summary %+v does not add up to %d events", n, len(c.ops))
	}
	c.check(t)
}

func TestImportThatNeverGetsFurtherEnds(t *testing.T) {
	t.Parallel()
	text, _ := manyLines(10)
	c := newFakeCluster(t, text)
	c.trouble = func(int) trouble { return lost }
	if got := c.run(t, strings.NewReader(text), false); event.CodeOf(got.err) != event.CodeOutcomeUnknown {
		t.Errorf("got %v", got.err)
	}
}

func TestFinishedImportRunAgainStoresNothing(t *testing.T) {
	t.Parallel()
	text, bad := manyLines(1000)
	c := newFakeCluster(t, text)
	c.run(t, strings.NewReader(text), false)
	again := c.run(t, strings.NewReader(text), false)
	if again.err != nil || again.total.Stored != 0 || again.total.Skipped != uint64(len(c.ops)) || !slices.Equal(again.bad, bad) {
		t.Errorf("%v, %+v", again.err, again.total)
	}
	c.check(t)
	// And more of it is imported from where it ended.
	longer, _ := manyLines(1300)
	c.ops = newFakeCluster(t, longer).ops
	if got := c.run(t, strings.NewReader(longer), false); got.err != nil {
		t.Error(got.err)
	}
	c.check(t)
}

func TestRefusedLinesSpoilNoOthers(t *testing.T) {
	t.Parallel()
	text, bad := manyLines(600)
	refused := []uint64{1, 2, 3, 4, 5, 6, 7, 8, 300, 511, 599, 600}
	conflicts := []uint64{10, 301}
	c := newFakeCluster(t, text)
	for _, n := range refused {
		c.refused[n] = true
	}
	for _, n := range conflicts {
		c.conflict[n] = true
	}
	got := c.run(t, strings.NewReader(text), false)
	all := slices.Concat(bad, refused, conflicts)
	slices.Sort(all)
	slices.Sort(got.bad)
	if got.err != nil || !slices.Equal(got.bad, all) {
		t.Errorf("%v, bad lines %v, want %v", got.err, got.bad, all)
	}
	c.check(t, slices.Concat(refused, conflicts)...)
}

func TestTwoImportsAtOnceStoreEveryLineOnce(t *testing.T) {
	t.Parallel()
	text, _ := manyLines(20_000)
	c := newFakeCluster(t, text)
	var running sync.WaitGroup
	for range 2 {
		running.Go(func() {
			im := &importer{
				open: c.open, lines: newLineReader(strings.NewReader(text)),
				report: func(uint64, error) {}, show: newProgress(io.Discard, true, 0),
			}
			// One may lose every race for a batch, and gives up then.
			if err := im.run(t.Context()); err != nil && event.CodeOf(err) != event.CodeInvalid {
				t.Error(err)
			}
		})
	}
	running.Wait()
	c.check(t)
}

func TestStrictImportStoresNothingBehindABadLine(t *testing.T) {
	t.Parallel()
	lines := []string{eventLine(1), eventLine(2), "", eventLine(4), eventLine(5), eventLine(6)}
	for name, test := range map[string]struct {
		spoil  func(c *fakeCluster, lines []string)
		stored []uint64
		bad    []uint64
	}{
		"good":      {func(*fakeCluster, []string) {}, []uint64{1, 2, 4, 5, 6}, nil},
		"malformed": {func(_ *fakeCluster, lines []string) { lines[3] = "{" }, []uint64{1, 2}, []uint64{4}},
		"conflict":  {func(c *fakeCluster, _ []string) { c.conflict[4] = true }, []uint64{1, 2}, []uint64{4}},
		"refused":   {func(c *fakeCluster, _ []string) { c.refused[4] = true }, []uint64{1, 2}, []uint64{4}},
		"first":     {func(_ *fakeCluster, lines []string) { lines[0] = "[" }, nil, []uint64{1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newFakeCluster(t, strings.Join(lines, "\n"))
			mine := slices.Clone(lines)
			test.spoil(c, mine)
			got := c.run(t, strings.NewReader(strings.Join(mine, "\n")), true)
			if stored := slices.Sorted(maps.Keys(c.stored)); !slices.Equal(stored, test.stored) {
				t.Errorf("stored lines %v, want %v", stored, test.stored)
			}
			if !slices.Equal(got.bad, test.bad) || errors.Is(got.err, errStrict) != (test.bad != nil) {
				t.Errorf("%v, bad lines %v, want %v", got.err, got.bad, test.bad)
			}
		})
	}
}

func TestLinesAreCutAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", maxLineBytes)
	for name, test := range map[string]struct {
		in   string
		want []string
	}{
		"empty":           {"", nil},
		"one newline":     {"\n", []string{""}},
		"no last newline": {"a\nb", []string{"a", "b"}},
		"Windows":         {"a\r\n\r\nb\r\n", []string{"a", "", "b"}},
		"byte order":      {"\xef\xbb\xbfa\n\xef\xbb\xbfb\n", []string{"a", "\xef\xbb\xbfb"}},
		"longest":         {long + "\nb\n", []string{long, "b"}},
		"too long":        {long + "y\nb\n", []string{"(too long)", "b"}},
		"far too long":    {"a\n" + long + long + "\nb", []string{"a", "(too long)", "b"}},
		"ends too long":   {long + long, []string{"(too long)"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lines := newLineReader(strings.NewReader(test.in))
			var got []string
			for {
				text, err := lines.next()
				if errors.Is(err, io.EOF) {
					break
				}
				if errors.Is(err, errLineTooLong) {
					text = []byte("(too long)")
				}
				got = append(got, string(text))
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got %d lines, want %d", len(got), len(test.want))
			}
			if lines.offset != int64(len(test.in)) || lines.number != uint64(len(test.want)) {
				t.Errorf("ends at line %d, offset %d of %d", lines.number, lines.offset, len(test.in))
			}
		})
	}
}

func TestLinesAreSentWithoutWaitingForMore(t *testing.T) {
	t.Parallel()
	in, feed := io.Pipe()
	c := newFakeCluster(t, eventLine(1)+"\n"+eventLine(2)+"\n")
	executed := make(chan struct{}, 10)
	c.trouble = func(int) trouble { executed <- struct{}{}; return none }
	done := make(chan imported)
	go func() { done <- c.run(t, in, false) }()
	for i := 1; i <= 2; i++ {
		if _, err := io.WriteString(feed, eventLine(i)+"\n"); err != nil {
			t.Fatal(err)
		}
		<-executed // the next is written only now
	}
	if err := feed.Close(); err != nil {
		t.Fatal(err)
	}
	if got := <-done; got.err != nil || got.total.Stored != 2 {
		t.Errorf("%v, %+v", got.err, got.total)
	}
}

func TestInputThatCannotBeReadEndsTheImport(t *testing.T) {
	t.Parallel()
	broken := errors.New("disk is gone")
	text := eventLine(1) + "\n"
	c := newFakeCluster(t, text)
	in := io.MultiReader(strings.NewReader(text), readerFunc(func([]byte) (int, error) { return 0, broken }))
	if got := c.run(t, in, false); !errors.Is(got.err, broken) {
		t.Errorf("got %v", got.err)
	}
}

func TestProgressTellsRateAndRemainingTime(t *testing.T) {
	t.Parallel()
	s := summary{Stored: 300, Duplicates: 100, Skipped: 600, Bad: 2, Last: 1002}
	for want, size := range map[string]int64{
		"line 1002: stored 300, duplicates 100, skipped 600, bad 2, 200/s, 60%, 4s left": 1000,
		"line 1002: stored 300, duplicates 100, skipped 600, bad 2, 200/s":               0,
		"line 1002: stored 300, duplicates 100, skipped 600, bad 2, 200/s, 100%":         600,
	} {
		if got := progressText(s, 600, 400, size, 2*time.Second); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	var out bytes.Buffer
	p := newProgress(&out, false, 0)
	p.terminal = true
	p.start()
	p.show(time.Now())
	p.line("line %d: bad", 7)
	p.stop()
	if got := out.String(); !strings.HasSuffix(got, "\r\x1b[Kline 7: bad\n") {
		t.Errorf("a line does not replace what is shown in place: %q", got)
	}
}

func TestBatchThatAnotherImportHasBegunIsNotBad(t *testing.T) {
	t.Parallel()
	text := "\n" + eventLine(2) + "\n"
	c := newFakeCluster(t, text)
	c.trouble = func(commit int) trouble {
		if commit == 0 {
			c.last = 1 // the other has executed the blank line by itself
		}
		return none
	}
	if got := c.run(t, strings.NewReader(text), false); got.err != nil || got.bad != nil || got.total.Stored != 1 {
		t.Errorf("%v, bad lines %v, %+v", got.err, got.bad, got.total)
	}
	c.check(t)
}

func TestImportInterruptedWhileItReadsIsNotFinished(t *testing.T) {
	t.Parallel()
	text, _ := manyLines(3000)
	for range 50 { // what is noticed first, the end of reading or the signal, is a race
		c := newFakeCluster(t, text)
		read := 0
		in := readerFunc(func(b []byte) (int, error) {
			if read > len(text)/2 {
				c.stop(errInterrupted)
			}
			n := copy(b[:min(len(b), 5000)], text[read:])
			read += n
			if n == 0 {
				return 0, io.EOF
			}
			return n, nil
		})
		got := c.run(t, in, false)
		if got.err == nil && uint64(len(c.ops)) != got.total.Stored {
			t.Fatalf("%d of %d lines stored, and no error", got.total.Stored, len(c.ops))
		}
	}
}
