package raftlog

import (
	"testing"
)

func TestSizesFollowTheLog(t *testing.T) {
	t.Parallel()
	const size, n = 1000, 600
	perEntry := int64(recordSize(size, 0) + frameHeader)
	dir := t.TempDir()
	cfg := Config{SegmentBytes: minSegmentBytes}
	l := mustOpen(t, dir, cfg)
	if got := l.TrailingCount(1 << 30); got != 0 {
		t.Fatalf("empty log has %d trailing entries", got)
	}
	for i := range uint64(n / 4) {
		logs := batch(1+4*i, 4, size)
		for _, e := range logs {
			e.Extensions = nil
		}
		if err := l.StoreLogs(logs); err != nil {
			t.Fatal(err)
		}
	}
	check := func(first, last uint64) {
		t.Helper()
		const slack = 2 * sampleBytes
		for _, index := range []uint64{0, first, first + 17, last - 100, last - 1, last} {
			want := perEntry * int64(last-max(index, first-1))
			if got := l.BytesSince(index); got < want || got > want+slack+perEntry {
				t.Fatalf("got %d bytes since %d, want %d", got, index, want)
			}
		}
		for _, bytes := range []int64{0, perEntry, 100 * perEntry, 1 << 40} {
			want := min(bytes/perEntry, int64(last-first+1))
			if got := int64(l.TrailingCount(bytes)); got > want || got < want-slack/perEntry-1 {
				t.Fatalf("got %d trailing entries in %d bytes, want %d", got, bytes, want)
			}
		}
	}
	check(1, n)
	if err := l.DeleteRange(1, 200); err != nil {
		t.Fatal(err)
	}
	check(201, n)
	if err := l.DeleteRange(500, n); err != nil {
		t.Fatal(err)
	}
	check(201, 499)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = mustOpen(t, dir, cfg)
	check(201, 499)
	if err := l.DeleteRange(201, 499); err != nil {
		t.Fatal(err)
	}
	if got := l.BytesSince(0); got != 0 {
		t.Fatalf("an emptied log has %d bytes", got)
	}
	mustStore(t, l, 2000, 1, size) // as after a snapshot was installed
	if got := l.TrailingCount(1 << 30); got != 1 {
		t.Fatalf("got %d trailing entries, want 1", got)
	}
}
