package log

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/edri-io/edri/event"
)

// benchRecords are like those of the throughput figures: 256 bytes of data, about
// 330 as a record, subjects in 10,000 streams, 20 types.
func benchRecords(n *node, count int) []Record {
	rng := rand.New(rand.NewPCG(7, 8))
	rs := make([]Record, 0, count)
	for range count {
		name := fmt.Sprintf("orders/%d", rng.IntN(10_000))
		rs = append(rs, n.record(spec{
			stream: name, subject: name, typ: fmt.Sprintf("org.example.order.%d", rng.IntN(20)), source: "shop",
			stamp: int64(n.mark.Last), data: 256,
		}))
	}
	return rs
}

// BenchmarkAppendFlush is the cost of one event, appended in batches of 64 and
// flushed every 6,000, a second's tenth at 60,000 events a second. With runs of
// one byte, posting lists are written with every flush.
func BenchmarkAppendFlush(b *testing.B) {
	for _, runBytes := range []int64{defaultRunBytes, 1} {
		b.Run(fmt.Sprintf("run bytes %d", runBytes), func(b *testing.B) {
			n := newNode(0)
			j := mustOpen(b, b.TempDir(), Mark{}, Config{RunBytes: runBytes})
			batches := make([][]Record, 0, b.N/64+1)
			marks := make([]Mark, 0, cap(batches))
			for range cap(batches) {
				batches = append(batches, benchRecords(n, 64))
				marks = append(marks, n.mark)
			}
			b.ReportAllocs()
			b.ResetTimer()
			for i, batch := range batches {
				j.Append(batch, marks[i])
				if i%94 == 93 || i == len(batches)-1 {
					mustFlush(b, j)
				}
			}
		})
	}
}

func BenchmarkAppend(b *testing.B) {
	n := newNode(0)
	j := mustOpen(b, b.TempDir(), Mark{}, Config{})
	batches := make([][]Record, 0, b.N/64+1)
	marks := make([]Mark, 0, cap(batches))
	for range cap(batches) {
		batches = append(batches, benchRecords(n, 64))
		marks = append(marks, n.mark)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i, batch := range batches {
		j.Append(batch, marks[i])
	}
}

const benchCount = 400_000

func benchJournal(b *testing.B) *Journal {
	n := newNode(64 << 20)
	j := mustOpen(b, b.TempDir(), Mark{}, Config{})
	for range benchCount / 4000 {
		j.Append(benchRecords(n, 4000), n.mark)
		mustFlush(b, j)
	}
	return j
}

// BenchmarkRead reads a journal of 400,000 records, in two segments, from the
// page cache. records/s is the rate of what was found.
func BenchmarkRead(b *testing.B) {
	j := benchJournal(b)
	for _, tc := range []struct {
		name string
		q    func(i int) Query
	}{
		{"scan", func(int) Query { return Query{} }},
		{"scan reverse", func(int) Query { return Query{Reverse: true} }},
		{"stream of 10000", func(i int) Query { return Query{Stream: fmt.Sprintf("orders/%d", i%10_000)} }},
		{"stream and type", func(i int) Query {
			return Query{Stream: fmt.Sprintf("orders/%d", i%10_000), Type: "org.example.order.7"}
		}},
		{"type", func(int) Query { return Query{Type: "org.example.order.7"} }},
		{"type prefix", func(int) Query { return Query{TypePrefix: "org.example.order.1"} }},
		{"newest of a stream", func(i int) Query {
			return Query{Stream: fmt.Sprintf("orders/%d", i%10_000), Reverse: true, From: benchCount - 50_000}
		}},
	} {
		b.Run(tc.name, func(b *testing.B) {
			found, bytes := 0, 0
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				v := j.View()
				r := v.Read(tc.q(i))
				for r.Next() {
					found++
					bytes += len(r.record.Event)
				}
				if r.Err() != nil {
					b.Fatal(r.Err())
				}
				v.Close()
			}
			b.ReportMetric(float64(found)/b.Elapsed().Seconds(), "records/s")
		})
	}
}

// BenchmarkSignatures finds one record among those that no run covers, by
// signatures and by comparing the records.
func BenchmarkSignatures(b *testing.B) {
	n := newNode(0)
	j := mustOpen(b, b.TempDir(), Mark{}, Config{})
	j.Append(benchRecords(n, 50_000), n.mark)
	q := Query{Correlation: "none"}
	b.Run("signatures", func(b *testing.B) {
		for b.Loop() {
			r := j.View().Read(q)
			if r.Next() {
				b.Fatal("found")
			}
		}
	})
	b.Run("records", func(b *testing.B) {
		tail := j.current.Load().tail
		for b.Loop() {
			for i := range tail {
				if q.Matches(tail[i]) {
					b.Fatal("found")
				}
			}
		}
	})
}

func BenchmarkGet(b *testing.B) {
	j := benchJournal(b)
	rng := rand.New(rand.NewPCG(9, 10))
	v := j.View()
	for b.Loop() {
		if _, err := v.Get(event.Position(1 + rng.IntN(benchCount))); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSeal is the flush that crosses into a new segment, after 256 MiB.
func BenchmarkSeal(b *testing.B) {
	n := newNode(0)
	j := mustOpen(b, b.TempDir(), Mark{}, Config{})
	for b.Loop() {
		b.StopTimer()
		for rolled := false; !rolled; {
			batch := benchRecords(n, 4000)
			for i := range batch[1:] {
				rolled = rolled || n.mark.Last > 4000 && batch[i+1].Roll
			}
			if !rolled {
				j.Append(batch, n.mark)
				mustFlush(b, j)
				continue
			}
			j.Append(batch, n.mark)
		}
		b.StartTimer()
		mustFlush(b, j)
	}
}

// BenchmarkOpen opens a journal of a million records in the page cache.
func BenchmarkOpen(b *testing.B) {
	dir, n := b.TempDir(), newNode(0)
	j := mustOpen(b, dir, Mark{}, Config{})
	for range 250 {
		j.Append(benchRecords(n, 4000), n.mark)
		mustFlush(b, j)
	}
	if err := j.Close(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		j, err := Open(dir, n.mark, Config{})
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := j.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}
