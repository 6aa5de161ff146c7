package log

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/edri-io/edri/event"
)

// recordSource makes records out of a stock of events, so that making them does
// not weigh in what is measured. Identical ids do not matter to the journal.
type recordSource struct {
	node  *node
	stock []Record
	next  int
}

func newRecordSource(streams int, correlated bool) *recordSource {
	rng := rand.New(rand.NewPCG(7, 8))
	s := &recordSource{node: newNode(0)}
	maker := newNode(1 << 40)
	for i := range 1 << 16 {
		name := fmt.Sprintf("orders/%d", rng.IntN(streams))
		of := spec{stream: name, subject: name, typ: fmt.Sprintf("org.example.order.%d", rng.IntN(20)), source: "shop", data: 256}
		if correlated {
			of.correlation = fmt.Sprintf("019a9e0c-7d5c-7b3e-9c1d-%012d", i)
		}
		s.stock = append(s.stock, maker.record(of))
	}
	return s
}

func (s *recordSource) take(dst []Record, n int) []Record {
	for range n {
		r := s.stock[s.next%len(s.stock)]
		s.next++
		r.Position, r.Stamp = s.node.mark.Last+1, int64(s.node.mark.Last)*1000
		r.Revision = event.Revision(s.next)
		s.node.mark.Add(&r, 0)
		dst = append(dst, r)
	}
	return dst
}

// spent is the CPU time of the process and the bytes that it wrote.
func spent(tb testing.TB) (cpu time.Duration, written int64) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	io, err := os.ReadFile("/proc/self/io")
	if err != nil {
		tb.Skip(err)
	}
	for line := range bytes.Lines(io) {
		if n, ok := bytes.CutPrefix(line, []byte("wchar: ")); ok {
			written, _ = strconv.ParseInt(string(bytes.TrimSpace(n)), 10, 64)
		}
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), written
}

func flushAndSealSome(b *testing.B, j *Journal) {
	if err := j.Flush(j.View().Last()); err != nil {
		b.Fatal(err)
	}
	if _, err := j.SealSome(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkCost is what one event costs from Append to its sealed segment: CPU of
// all threads and the kernel, and bytes written. One operation is a segment of
// 256 MiB, appended in batches of 64 and flushed every 3,000 or 8,000 events.
// slowest_ms is the longest of the flushes, with the piece of sealing after it.
func BenchmarkCost(b *testing.B) {
	for _, streams := range []int{1000, 10_000} {
		for _, correlated := range []bool{false, true} {
			for _, flushEvery := range []int{1750, 3000, 8000} {
				name := fmt.Sprintf("streams %d correlated %t flush %d", streams, correlated, flushEvery)
				b.Run(name, func(b *testing.B) { benchmarkCost(b, streams, correlated, flushEvery) })
			}
		}
	}
}

func benchmarkCost(b *testing.B, streams int, correlated bool, flushEvery int) {
	source := newRecordSource(streams, correlated)
	j := mustOpen(b, b.TempDir(), Mark{}, Config{})
	var batch []Record
	var slowest time.Duration
	b.ResetTimer()
	cpu, written := spent(b)
	segments, unflushed := 0, 0
	for segments <= b.N { // the first record begins the first
		batch = source.take(batch[:0], 64)
		for i := range batch {
			if batch[i].Roll {
				segments++
			}
		}
		j.Append(batch, source.node.mark)
		if unflushed += len(batch); unflushed >= flushEvery || segments > b.N {
			start := time.Now()
			flushAndSealSome(b, j)
			slowest = max(slowest, time.Since(start))
			unflushed = 0
		}
	}
	mustFlush(b, j)
	endCPU, endWritten := spent(b)
	events := float64(source.node.mark.Last)
	b.ReportMetric(float64(endCPU-cpu)/events, "cpu-ns/event")
	b.ReportMetric(float64(endWritten-written)/events, "written-B/event")
	b.ReportMetric(float64(slowest.Milliseconds()), "slowest-ms")
}
