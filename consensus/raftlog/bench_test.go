package raftlog

import (
	"fmt"
	"testing"

	"github.com/hashicorp/raft"
	wal "github.com/hashicorp/raft-wal"
)

// BenchmarkStore is one write and sync; raw is raft-wal without this package.
func BenchmarkStore(b *testing.B) {
	for _, size := range []int{500, 64 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("wrapped/%d", size), func(b *testing.B) {
			l, err := Open(b.TempDir(), Config{})
			if err != nil {
				b.Fatal(err)
			}
			defer l.Close()
			benchStore(b, l, size)
		})
		b.Run(fmt.Sprintf("raw/%d", size), func(b *testing.B) {
			l, err := wal.Open(b.TempDir())
			if err != nil {
				b.Fatal(err)
			}
			defer l.Close()
			benchStore(b, l, size)
		})
	}
}

func benchStore(b *testing.B, l raft.LogStore, size int) {
	e := entry(1, size)
	e.Extensions = nil
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		if err := l.StoreLogs([]*raft.Log{e}); err != nil {
			b.Fatal(err)
		}
		e.Index++
	}
}

// BenchmarkOpen is the check of 128 MiB of log at the start.
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	l, err := Open(dir, Config{})
	if err != nil {
		b.Fatal(err)
	}
	e := entry(1, 256<<10)
	for range 512 {
		if err := l.StoreLog(e); err != nil {
			b.Fatal(err)
		}
		e.Index++
	}
	b.SetBytes(512 * 256 << 10)
	b.ReportAllocs()
	for b.Loop() {
		if err := l.Close(); err != nil {
			b.Fatal(err)
		}
		if l, err = Open(dir, Config{}); err != nil {
			b.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
}
