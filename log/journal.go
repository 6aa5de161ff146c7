package log

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/internal/fault"
	"github.com/edri-io/edri/store"
)

// ErrBehind: the journal lacks records that its mark says are there. It matches
// store.ErrCorrupt too, since a synced flush was lost.
var ErrBehind = fmt.Errorf("journal is behind the state: %w", store.ErrCorrupt)

const (
	defaultMaxOpen  = 64
	defaultRunBytes = 16 << 20
)

// Config configures a journal. The zero value is usable.
type Config struct {
	// SegmentBytes is what Mark.Add is told, which decides where segments begin;
	// 0: DefaultSegmentBytes. Here it only says how much of the active segment's
	// file is mapped at once: twice as much, at least 512 MiB of address space.
	SegmentBytes int64
	// MaxOpen is how many sealed segments are kept open for reading, default 64.
	// Each costs a file descriptor and address space, no memory.
	MaxOpen int
	// RunBytes is after how many bytes of records their posting lists are
	// written, default 16 MiB. Fewer cost more writing, more cost 20 bytes of
	// memory a record and time in searching the newest records and in opening.
	RunBytes int64
	// Seam injects faults into file operations; nil for none.
	Seam fault.Seam
	// Logger receives what opening repaired and sealing took; nil for nothing.
	Logger *slog.Logger
}

func (c Config) normalised() (Config, error) {
	if c.SegmentBytes < 0 || c.MaxOpen < 0 || c.RunBytes < 0 {
		return c, fmt.Errorf("journal configuration: negative segment bytes %d, max open %d or run bytes %d",
			c.SegmentBytes, c.MaxOpen, c.RunBytes)
	}
	if c.SegmentBytes == 0 {
		c.SegmentBytes = DefaultSegmentBytes
	}
	if c.MaxOpen == 0 {
		c.MaxOpen = defaultMaxOpen
	}
	if c.RunBytes == 0 {
		c.RunBytes = defaultRunBytes
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

// Journal is the ordered history of all events. One goroutine appends, one at a
// time flushes, any number read; none of them waits for another.
type Journal struct {
	dir  string
	cfg  Config
	pool *pool
	// sealRows is how many posting rows a piece of sealing writes.
	sealRows int

	current atomic.Pointer[snapshot] // replaced while mu is held

	mu      sync.Mutex
	signer  signer        // guarded by mu
	changed chan struct{} // guarded by mu; nil: nobody asked

	flushing sync.Mutex   // held for a whole Flush; taken before mu
	failed   error        // guarded by flushing: why no Flush may follow
	closed   bool         // guarded by flushing
	active   segmentState // guarded by flushing; no segment: none yet
	lists    runBuilder   // guarded by flushing: of the flushed records that no run covers
	buffer   buffer       // guarded by flushing: empty between transactions
	sealing  *sealing     // guarded by flushing: the segment before the active; nil: is sealed

	holding sync.Mutex // held while files are removed; taken after flushing
	holds   int        // guarded by holding
}

// Append adds consecutive records after the last, with the mark that Mark.Add
// left behind them. They are visible to every later View, all at once, but in
// memory only until Flush. Records and what they point to must not be changed
// any more; the slice itself may be reused.
func (j *Journal) Append(records []Record, mark Mark) {
	if len(records) == 0 {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	next := *j.current.Load()
	segment, bytes := next.mark.Segment, int64(0)
	for i := range records {
		r := &records[i]
		if want := next.mark.Last + 1 + event.Position(i); r.Position != want {
			panic(fmt.Sprintf("log: record %d appended where %d should be", r.Position, want))
		}
		if r.Roll {
			segment = r.Position
		}
		bytes += r.size() + recordOverhead
		j.signer.add(r)
	}
	if last := records[len(records)-1].Position; mark.Last != last || mark.Segment != segment {
		panic(fmt.Sprintf("log: mark %+v does not end records up to %d in segment %d", mark, last, segment))
	}
	next.mark = mark
	next.tail = append(next.tail, records...)
	next.tailBytes += bytes
	next.signatures = j.signer.signatures
	j.publishLocked(&next)
}

// publishLocked makes next what views see and wakes who waits for a change.
func (j *Journal) publishLocked(next *snapshot) {
	j.current.Store(next)
	if j.changed != nil {
		close(j.changed)
		j.changed = nil
	}
}

// Changed returns a channel that is closed at the next Append. To follow the
// journal, take the channel first, then read a View, then wait.
func (j *Journal) Changed() <-chan struct{} {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.changed == nil {
		j.changed = make(chan struct{})
	}
	return j.changed
}

// DirtyBytes returns about how much memory the records take that are not
// flushed.
func (j *Journal) DirtyBytes() int64 { return j.current.Load().tailBytes }

// Durable returns the position of the last record that is flushed.
func (j *Journal) Durable() event.Position { return j.current.Load().durable }

// View returns a view of the journal as it is now.
func (j *Journal) View() *View { return &View{snapshot: j.current.Load()} }

// SegmentInfo describes a segment.
type SegmentInfo struct {
	First, Last event.Position
	// Sealed segments never change. Digest identifies one's content, its records
	// in order, see doc.go. It is zero before.
	Sealed bool
	Digest [32]byte
	// Bytes is the size of the records.
	Bytes int64
}

// Segments returns the segments, as far as they are flushed, from the oldest.
func (j *Journal) Segments() []SegmentInfo {
	var infos []SegmentInfo
	for _, s := range j.current.Load().segments {
		infos = append(infos, infoOf(&s.header))
	}
	return infos
}

// CopySegment writes the file of the segment that begins at first, as its last
// transaction left it, and returns its size. A transaction stays open until all
// is written, so w should be a file: of the active segment the pages that are
// replaced meanwhile cannot be used again.
func (j *Journal) CopySegment(first event.Position, w io.Writer) (int64, error) {
	for _, s := range j.current.Load().segments {
		if s.first != first {
			continue
		}
		tx, err := s.begin()
		if err != nil {
			return 0, err
		}
		defer s.end(tx)
		n, err := tx.WriteTo(w)
		if err != nil {
			return n, fmt.Errorf("copy %s: %w", s.path, err)
		}
		return n, nil
	}
	return 0, event.Errorf(event.CodeNotFound, "no segment begins at position %d", first)
}

// Close waits for a Flush that runs and for readers to be closed, and closes the
// files. What is not flushed is gone. It is safe to call twice.
func (j *Journal) Close() error {
	j.flushing.Lock()
	defer j.flushing.Unlock()
	if j.closed {
		return nil
	}
	j.closed = true
	var errs []error
	segments := j.current.Load().segments
	if n := len(segments); j.active.segment != nil && (n == 0 || segments[n-1].segment != j.active.segment) {
		errs = append(errs, j.active.close()) // created, but nothing was written
	}
	for _, s := range segments {
		errs = append(errs, s.close())
	}
	return errors.Join(errs...)
}
