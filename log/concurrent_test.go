package log

import (
	"fmt"
	"sync"
	"testing"

	"github.com/edri-io/edri/event"
)

// TestReadersSeeWholeBatchesWhileTheJournalGrowsRollsAndSeals has one appender,
// one flusher and readers of all kinds at once.
func TestReadersSeeWholeBatchesWhileTheJournalGrowsRollsAndSeals(t *testing.T) {
	t.Parallel()
	const batches, perBatch = 150, 10
	n := newNode(6000)
	j := mustOpen(t, t.TempDir(), Mark{}, Config{RunBytes: 2000, MaxOpen: 2})
	j.sealRows = 20
	var running, readers sync.WaitGroup
	done := make(chan struct{})
	running.Go(func() {
		for range batches {
			j.Append(n.records(perBatch, spec{stream: "a", subject: "b", data: 40}), n.mark)
		}
		close(done)
	})
	running.Go(func() {
		for last := event.Position(0); last < batches*perBatch; {
			changed := j.Changed()
			if last = j.View().Last(); j.Durable() == last {
				<-changed
				continue
			}
			if err := j.Flush(last); err != nil {
				t.Error(err)
				return
			}
			if _, err := j.SealSome(); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for _, q := range []Query{{}, {Reverse: true}, {Stream: "a"}, {Subject: "b", Type: "typ", Reverse: true}, {TypePrefix: "t", Since: 0}} {
		readers.Go(func() {
			for last := event.Position(0); last < batches*perBatch; {
				var err error
				if last, err = readWhole(j, q, perBatch); err != nil {
					t.Errorf("%+v: %v", q, err)
					return
				}
			}
		})
	}
	running.Wait()
	readers.Wait()
	<-done
}

// readWhole reads all that q selects, which is every record, and checks that
// there are whole batches without a gap.
func readWhole(j *Journal, q Query, perBatch event.Position) (event.Position, error) {
	v := j.View()
	defer v.Close()
	last := v.Last()
	if last%perBatch != 0 {
		return 0, fmt.Errorf("a view ends at %d, inside a batch", last)
	}
	count := event.Position(0)
	r := v.Read(q)
	for r.Next() {
		count++
		want := count
		if q.Reverse {
			want = last + 1 - count
		}
		if rec := r.Record(); rec.Position != want || rec.Stream != "a" || rec.Revision != event.Revision(want) {
			return 0, fmt.Errorf("got position %d, revision %d, want %d", rec.Position, rec.Revision, want)
		}
	}
	if count != last && r.Err() == nil {
		return 0, fmt.Errorf("got %d records, want %d", count, last)
	}
	return last, r.Err()
}
