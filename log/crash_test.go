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

// history is what is committed in the crash tests, with the mark after each
// record: the replicated log, which survives everything.
type history struct {
	records []Record
	marks   []Mark
}

func newHistory(count int, segmentBytes int64) *history {
	h := &history{}
	n := newNode(segmentBytes)
	for i := range count {
		s := spec{
			stream: fmt.Sprint("s", i%3), typ: fmt.Sprint("t", i%4), subject: fmt.Sprint("s", i%3),
			correlation: fmt.Sprint("c", i), stamp: int64(i / 2), data: 40 + i%7,
		}
		h.records = append(h.records, n.record(s))
		h.marks = append(h.marks, n.mark)
	}
	return h
}

func (h *history) mark(n int) Mark {
	if n == 0 {
		return Mark{}
	}
	return h.marks[n-1]
}

// play is one life of a node over a history: it replays from where the state is,
// flushing at each of steps, and at those that are positive the state too.
type play struct {
	*history
	dir   string
	cfg   Config
	state int // records that the state has durably; survives the life
	// pieces is how many pieces are sealed after each flush.
	pieces int
}

func (p *play) live(seam fault.Seam, steps ...int) (err error) {
	cfg := p.cfg
	cfg.Seam = seam
	j, err := Open(p.dir, p.mark(p.state), cfg)
	if err != nil {
		return err
	}
	j.sealRows = 30
	defer func() { err = errors.Join(err, j.Close()) }()
	at := p.state
	for _, step := range steps {
		to := max(step, -step)
		j.Append(p.records[at:to], p.mark(to))
		if err := j.Flush(event.Position(to)); err != nil {
			if again := j.Flush(event.Position(to)); again == nil {
				return errors.New("a flush succeeded after one had failed")
			}
			return err
		}
		if at = to; step > 0 {
			p.state = to
		}
		for range p.pieces {
			if _, err := j.SealSome(); err != nil {
				if again := j.Flush(event.Position(to)); again == nil {
					return errors.New("a flush succeeded after sealing had failed")
				}
				return err
			}
		}
	}
	return nil
}

// requireConsistent opens the journal without faults, compares all of it, by all
// ways of reading, with the history up to the state, and ends the history.
func (p *play) requireConsistent(t *testing.T) [][32]byte {
	t.Helper()
	j, err := Open(p.dir, p.mark(p.state), p.cfg)
	if err != nil {
		t.Fatalf("open after the crash: %v", err)
	}
	defer func() {
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	}()
	p.requireReads(t, j, p.state)
	j.Append(p.records[p.state:], p.mark(len(p.records)))
	p.requireReads(t, j, len(p.records))
	mustFlush(t, j)
	p.requireReads(t, j, len(p.records))
	var digests [][32]byte
	for _, s := range j.Segments() {
		digests = append(digests, s.Digest)
	}
	return digests
}

func (p *play) requireReads(t *testing.T, j *Journal, n int) {
	t.Helper()
	for _, q := range []Query{
		{}, {Reverse: true}, {Stream: "s1"}, {Subject: "s2", Type: "t3", Reverse: true}, {TypePrefix: "t"},
		{Correlation: fmt.Sprint("c", max(n-1, 0))}, {Since: int64(n / 3), Until: int64(n / 2)},
	} {
		var want []Record
		for i := range p.records[:n] {
			if q.Matches(p.records[i]) {
				want = append(want, p.records[i])
			}
		}
		if q.Reverse {
			slices.Reverse(want)
		}
		requireSame(t, mustCollect(t, j, q), want)
	}
}

// The first life crosses two boundaries in one flush that the state knows, and
// more in flushes that it does not; the second has to undo these.
var (
	firstLife  = []int{10, 12, 40, -44, -71}
	secondLife = []int{46, 75, 80}
)

func newPlay(t *testing.T) *play {
	return &play{history: newHistory(90, 2500), dir: t.TempDir(), cfg: Config{RunBytes: 700, MaxOpen: 2}, pieces: allPieces}
}

// allPieces seal any segment of the crash tests; one piece leaves sealing to later
// flushes, to the roll after them and to the next life.
const allPieces = 20

func cleanPlay(t *testing.T, pieces int) (first, second int, digests [][32]byte) {
	t.Helper()
	p := newPlay(t)
	p.pieces = pieces
	one, two := fault.Record(), fault.Record()
	if err := p.live(one.Seam(), firstLife...); err != nil {
		t.Fatal(err)
	}
	if err := p.live(two.Seam(), secondLife...); err != nil {
		t.Fatal(err)
	}
	return len(one.Steps()), len(two.Steps()), p.requireConsistent(t)
}

func TestACrashAtAnyStepLosesNothingThatTheStateHas(t *testing.T) {
	t.Parallel()
	for _, pieces := range []int{1, allPieces} {
		crashAtEveryStep(t, pieces)
	}
}

func crashAtEveryStep(t *testing.T, pieces int) {
	first, second, want := cleanPlay(t, pieces)
	if first < 40 || second < 40 {
		t.Fatalf("the lives have only %d and %d steps", first, second)
	}
	for _, inject := range []struct {
		name string
		at   func(int) *fault.Injector
	}{{"crash", fault.CrashAt}, {"fail", fault.FailAt}} {
		for n := 1; n <= first+second; n++ {
			t.Run(fmt.Sprintf("%s at %d, %d pieces", inject.name, n, pieces), func(t *testing.T) {
				t.Parallel()
				p := newPlay(t)
				p.pieces = pieces
				var err error
				if n <= first {
					err = p.live(inject.at(n).Seam(), firstLife...)
				} else {
					if err := p.live(nil, firstLife...); err != nil {
						t.Fatal(err)
					}
					err = p.live(inject.at(n-first).Seam(), secondLife...)
				}
				// A failed deletion of a leftover is the one that may be passed over.
				if err != nil && !errors.Is(err, fault.ErrInjected) {
					t.Fatalf("got %v, want the injected fault", err)
				}
				if err != nil && !errors.Is(err, store.ErrIO) {
					t.Errorf("%v does not match store.ErrIO", err)
				}
				if got := p.requireConsistent(t); !slices.Equal(got, want) {
					t.Errorf("digests differ from those of a life without faults")
				}
			})
		}
	}
}

// The rows of the crash table of DESIGN §4.

func TestACrashBeforeTheCommitIsReplayed(t *testing.T) {
	t.Parallel()
	p := newPlay(t)
	if err := p.live(nil, 10); err != nil {
		t.Fatal(err)
	}
	inject := func(s fault.Step) error {
		if s.Op == fault.OpCommit {
			return fault.ErrInjected
		}
		return nil
	}
	if err := p.live(inject, 20); !errors.Is(err, fault.ErrInjected) {
		t.Fatalf("got %v, want the injected fault", err)
	}
	j := mustOpen(t, p.dir, p.mark(10), p.cfg)
	if got := j.Segments()[0].Last; got != 10 {
		t.Errorf("the journal goes to %d, want 10", got)
	}
}

func TestWhatTheStateDoesNotHaveIsCut(t *testing.T) {
	t.Parallel()
	p := newPlay(t)
	if err := p.live(nil, 10, -15); err != nil {
		t.Fatal(err)
	}
	j := mustOpen(t, p.dir, p.mark(10), p.cfg)
	if v := j.View(); v.Last() != 10 || j.Segments()[0].Last != 10 {
		t.Errorf("the journal goes to %d, its file to %d, want 10", v.Last(), j.Segments()[0].Last)
	}
	p.requireReads(t, j, 10)
}

func TestARollThatTheStateDoesNotHaveIsUndone(t *testing.T) {
	t.Parallel()
	p := newPlay(t)
	if err := p.live(nil, 10, -60); err != nil {
		t.Fatal(err)
	}
	if n := len(segmentFiles(t, p.dir)); n < 3 {
		t.Fatalf("got %d files, want some", n)
	}
	j := mustOpen(t, p.dir, p.mark(10), p.cfg)
	if got := segmentFiles(t, p.dir); !slices.Equal(got, []string{segmentName(1)}) {
		t.Errorf("files %v remain, want the first", got)
	}
	if s := j.Segments(); len(s) != 1 || s[0].Sealed || s[0].Last != 10 {
		t.Errorf("got segments %+v, want one to 10, not sealed", s)
	}
	p.requireReads(t, j, 10)
}

func TestASealWithoutARollIsUndone(t *testing.T) {
	t.Parallel()
	p := newPlay(t)
	roll := slices.IndexFunc(p.records[1:], func(r Record) bool { return r.Roll }) + 1
	if err := p.live(nil, 5, roll); err != nil {
		t.Fatal(err)
	}
	noCreate := func(s fault.Step) error {
		if s.Op == fault.OpCreate {
			return fault.ErrInjected
		}
		return nil
	}
	if err := p.live(noCreate, roll+1); !errors.Is(err, fault.ErrInjected) {
		t.Fatalf("got %v, want the injected fault", err)
	}
	j := mustOpen(t, p.dir, p.mark(roll), p.cfg)
	if s := j.Segments(); len(s) != 1 || s[0].Sealed || s[0].Last != event.Position(roll) {
		t.Errorf("got segments %+v, want one to %d, not sealed", s, roll)
	}
	p.requireReads(t, j, roll)
}

func TestFilesBelowFirstAreDeleted(t *testing.T) {
	t.Parallel()
	p := newPlay(t)
	if err := p.live(nil, 90); err != nil {
		t.Fatal(err)
	}
	files := segmentFiles(t, p.dir)
	third, _ := parseSegmentName(files[2])
	mark := p.mark(90)
	mark.First = third
	j := mustOpen(t, p.dir, mark, p.cfg)
	if got := segmentFiles(t, p.dir); !slices.Equal(got, files[2:]) {
		t.Errorf("files %v remain, want %v", got, files[2:])
	}
	requireSame(t, mustCollect(t, j, Query{}), p.records[third-1:])
}

func TestAJournalBehindTheStateIsRefused(t *testing.T) {
	t.Parallel()
	p := newPlay(t)
	if err := p.live(nil, 10); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{11, 60} { // in the same segment, in a later one
		_, err := Open(p.dir, p.mark(n), p.cfg)
		if !errors.Is(err, ErrBehind) || !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("open at %d: got %v, want ErrBehind", n, err)
		}
	}
	if _, err := Open(t.TempDir(), p.mark(10), p.cfg); !errors.Is(err, ErrBehind) {
		t.Errorf("open of an empty directory: got %v, want ErrBehind", err)
	}
	p.requireConsistent(t)
}
