package log

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/internal/fault"
	"github.com/edri-io/edri/store"
)

// openWith opens a journal that has all of a history flushed.
func openWith(t *testing.T, p *play) *Journal {
	t.Helper()
	if err := p.live(nil, len(p.records)); err != nil {
		t.Fatal(err)
	}
	return mustOpen(t, p.dir, p.mark(len(p.records)), p.cfg)
}

// durable is the mark of a state that has the whole history from first on.
func (p *play) durable(first event.Position) Mark {
	m := p.mark(len(p.records))
	m.First = first
	return m
}

func TestFilesGoOnlyWhereFirstHasPassedThem(t *testing.T) {
	t.Parallel()
	p := newPlay(t)
	j := openWith(t, p)
	files := segmentFiles(t, p.dir)
	third, last := j.Segments()[2].First, p.mark(90).Segment
	for _, step := range []struct {
		first, durable event.Position
		want           int // files that are gone then
	}{
		{first: third + 1, durable: 0, want: 0}, // nothing is durable
		{first: third + 1, durable: third - 1, want: 1},
		{first: third + 1, durable: third + 1, want: 2},
		{first: third + 1, durable: 90, want: 2},       // the journal itself knows better
		{first: 91, durable: 91, want: len(files) - 1}, // the active one stays
	} {
		j.Retain(step.first, nil)
		for range len(files) {
			if err := j.Remove(Mark{First: step.durable, Segment: last}); err != nil {
				t.Fatal(err)
			}
		}
		if got := segmentFiles(t, p.dir); !slices.Equal(got, files[step.want:]) {
			t.Errorf("%+v: files %v remain, want %v", step, got, files[step.want:])
		}
	}
	v := j.View()
	if v.First() != 91 || v.Last() != 90 {
		t.Errorf("got an empty journal %d-%d, want 91-90", v.First(), v.Last())
	}
	requireSame(t, mustCollect(t, j, Query{}), nil)
	requireSame(t, mustCollect(t, j, Query{Stream: "s1", Since: 3, Reverse: true}), nil)
}

func TestAnEmptyJournalGoesOnAfterItsLastPosition(t *testing.T) {
	t.Parallel()
	p := newPlay(t)
	if err := p.live(nil, 50); err != nil {
		t.Fatal(err)
	}
	mark := p.mark(50)
	mark.First = 51
	j := mustOpen(t, p.dir, mark, p.cfg)
	next := p.mark(90)
	next.First = 51
	j.Append(p.records[50:], next)
	mustFlush(t, j)
	requireSame(t, mustCollect(t, j, Query{}), p.records[50:])
}

func TestHeldFilesStay(t *testing.T) {
	t.Parallel()
	p := newPlay(t)
	j := openWith(t, p)
	files := segmentFiles(t, p.dir)
	one, two := j.Hold(), j.Hold()
	j.Retain(90, nil)
	for _, release := range []func(){one, two} {
		if err := j.Remove(p.durable(90)); err != nil {
			t.Fatal(err)
		}
		if got := segmentFiles(t, p.dir); !slices.Equal(got, files) {
			t.Errorf("files %v remain of %v", got, files)
		}
		release()
	}
	if err := j.Remove(p.durable(90)); err != nil {
		t.Fatal(err)
	}
	if got := segmentFiles(t, p.dir); len(got) >= len(files) {
		t.Errorf("files %v remain, want fewer", got)
	}
}

// A reader that is older than First reads on in the file that it has open, and
// learns at the next one, which is gone, that it missed something.
func TestASlowReaderIsToldThatItIsCompacted(t *testing.T) {
	t.Parallel()
	for _, q := range []Query{{}, {Stream: "s1"}} {
		p := newPlay(t)
		j := openWith(t, p)
		second := j.Segments()[1].First
		v := j.View()
		defer v.Close()
		r := v.Read(q)
		if !r.Next() {
			t.Fatal(r.Err())
		}
		late := v.Read(Query{})
		j.Retain(90, nil)
		for range 10 {
			if err := j.Remove(p.durable(90)); err != nil {
				t.Fatal(err)
			}
		}
		last := r.Position()
		for r.Next() {
			last = r.Record().Position
		}
		if got := compactedAt(r.Err()); got != 90 || last >= second {
			t.Errorf("%+v ended at %d with %v, want compacted before %d", q, last, r.Err(), second)
		}
		if late.Next() || compactedAt(late.Err()) != 90 {
			t.Errorf("a reader of a file that is gone ended with %v", late.Err())
		}
		if _, err := v.Get(1); compactedAt(err) != 90 {
			t.Errorf("got %v, want compacted", err)
		}
		if _, err := v.Since(1); compactedAt(err) != 90 {
			t.Errorf("got %v, want compacted", err)
		}
	}
}

func TestPurgedEventsAreInNoRead(t *testing.T) {
	t.Parallel()
	p := newPlay(t)
	j := openWith(t, p)
	var purges Purges
	purges.Set("s1", 41)
	j.Retain(0, &purges)
	isPurged := func(r Record) bool { return r.Stream == "s1" && r.Position <= 41 }
	for _, q := range []Query{{}, {Reverse: true}, {Type: "t2"}, {Subject: "s1"}, {Stream: "s1"}, {Stream: "s2"}, {Since: 2}} {
		var want []Record
		for _, r := range p.records {
			if q.Matches(r) && !isPurged(r) {
				want = append(want, r)
			}
		}
		if q.Reverse {
			slices.Reverse(want)
		}
		requireSame(t, mustCollect(t, j, q), want)
	}
	if _, err := collectAll(j, Query{Stream: "s1", From: 41}); compactedAt(err) != 42 {
		t.Errorf("got %v, want compacted, first 42", err)
	}
	for i := range p.records {
		_, err := j.View().Get(p.records[i].Position)
		if isPurged(p.records[i]) != (compactedAt(err) == 42) {
			t.Errorf("position %d: got %v", p.records[i].Position, err)
		}
	}
}

// retaining is one life that moves First and removes files, each durable First
// being that of the state.
func (p *play) retaining(seam fault.Seam, first *event.Position) (err error) {
	cfg := p.cfg
	cfg.Seam = seam
	mark := func() Mark {
		m := p.mark(p.state)
		m.First = max(m.First, *first)
		return m
	}
	j, err := Open(p.dir, mark(), cfg)
	if err != nil {
		return err
	}
	j.sealRows = 30
	defer func() { err = errors.Join(err, j.Close()) }()
	for _, step := range []struct {
		to    int
		first event.Position
	}{{40, 20}, {60, 60}, {75, 76}, {90, 80}} {
		if step.to <= p.state {
			continue
		}
		to := p.mark(step.to)
		to.First = max(to.First, j.View().First())
		j.Append(p.records[p.state:step.to], to)
		j.Retain(step.first, nil)
		if err := j.Flush(event.Position(step.to)); err != nil {
			return err
		}
		p.state, *first = step.to, max(*first, step.first)
		if err := j.Remove(mark()); err != nil {
			if again := j.Remove(mark()); again == nil && j.current.Load().removable(mark()) {
				return errors.New("a removal succeeded after one had failed")
			}
			return err
		}
	}
	return nil
}

func TestACrashAtAnyStepOfRetentionLosesNothingFromFirstOn(t *testing.T) {
	t.Parallel()
	clean, first := newPlay(t), event.Position(0)
	record := fault.Record()
	if err := clean.retaining(record.Seam(), &first); err != nil {
		t.Fatal(err)
	}
	steps, want := record.Steps(), segmentFiles(t, clean.dir)
	removals := 0
	for _, s := range steps {
		if s.Op == fault.OpRemove {
			removals++
		}
	}
	if removals < 4 || len(want) > 3 {
		t.Fatalf("only %d of %d steps remove files, %v remain", removals, len(steps), want)
	}
	for n := 1; n <= len(steps); n++ {
		for _, inject := range []*fault.Injector{fault.CrashAt(n), fault.FailAt(n)} {
			t.Run(fmt.Sprint("at ", n), func(t *testing.T) {
				t.Parallel()
				p, first := newPlay(t), event.Position(0)
				err := p.retaining(inject.Seam(), &first)
				if err != nil && (!errors.Is(err, fault.ErrInjected) || !errors.Is(err, store.ErrIO)) {
					t.Fatalf("got %v, want the injected fault", err)
				}
				p.requireFrom(t, first)
				if err := p.retaining(nil, &first); err != nil {
					t.Fatal(err)
				}
				p.requireFrom(t, first)
				if got := segmentFiles(t, p.dir); !slices.Equal(got, want) {
					t.Errorf("files %v remain, want %v", got, want)
				}
			})
		}
	}
}

// requireFrom opens the journal as the state knows it and compares all of it.
func (p *play) requireFrom(t *testing.T, first event.Position) {
	t.Helper()
	mark := p.mark(p.state)
	mark.First = max(mark.First, first)
	j, err := Open(p.dir, mark, p.cfg)
	if err != nil {
		t.Fatalf("open with first %d: %v", first, err)
	}
	defer func() {
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	}()
	requireSame(t, mustCollect(t, j, Query{}), p.records[max(first, 1)-1:max(p.state, int(max(first, 1))-1)])
}
