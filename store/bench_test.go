package store

import (
	"encoding/binary"
	"fmt"
	"testing"
)

// benchDB has 100,000 rows in the file and 10,000 in the active layer, as a
// busy node has between two flushes.
func benchDB(b *testing.B) (*DB, Table) {
	b.Helper()
	db := openTest(b)
	tx, a := db.Begin(), db.Table("alpha")
	for i := range uint64(100_000) {
		tx.Put(a, benchKey(i), make([]byte, 32))
	}
	flush(b, db)
	for i := range uint64(10_000) {
		tx.Put(a, benchKey(i*10), make([]byte, 32))
	}
	db.Publish()
	return db, a
}

func benchKey(i uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte("stream-"), i*0x9E3779B97F4A7C15)
}

func BenchmarkGet(b *testing.B) {
	db, a := benchDB(b)
	tx := db.Begin()
	view := db.View()
	defer view.Close()
	for _, bc := range []struct {
		name string
		g    getter
		key  func(i uint64) uint64
	}{
		{"overlay", tx, func(i uint64) uint64 { return i % 10_000 * 10 }},
		{"file", tx, func(i uint64) uint64 { return i%10_000*10 + 1 }},
		{"miss", tx, func(i uint64) uint64 { return i%10_000 + 200_000 }},
		{"view/overlay", view, func(i uint64) uint64 { return i % 10_000 * 10 }},
		{"view/file", view, func(i uint64) uint64 { return i%10_000*10 + 1 }},
	} {
		keys := make([][]byte, 10_000)
		for i := range keys {
			keys[i] = benchKey(bc.key(uint64(i) * 7919))
		}
		b.Run(bc.name, func(b *testing.B) {
			b.ReportAllocs()
			for i := range b.N {
				if _, err := bc.g.Get(a, keys[i%len(keys)]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkPut(b *testing.B) {
	for _, publishEvery := range []int{1, 64, 1024} {
		b.Run(fmt.Sprintf("publish every %d", publishEvery), func(b *testing.B) {
			db, a := benchDB(b)
			tx, value := db.Begin(), make([]byte, 32)
			keys := make([][]byte, 10_000)
			for i := range keys {
				keys[i] = benchKey(uint64(i) * 7919)
			}
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				tx.Put(a, keys[i%len(keys)], value)
				if i%publishEvery == 0 {
					db.Publish()
				}
			}
			b.StopTimer()
			db.Publish()
		})
	}
}

// BenchmarkScratch is one commit: two rows read, three written.
func BenchmarkScratch(b *testing.B) {
	db, a := benchDB(b)
	tx, l, value := db.Begin(), db.Table("log"), make([]byte, 32)
	keys := make([][]byte, 10_000)
	for i := range keys {
		keys[i] = benchKey(uint64(i) * 10)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		s := tx.Scratch()
		k := keys[i%len(keys)]
		for range 2 {
			if _, err := s.Get(a, k); err != nil {
				b.Fatal(err)
			}
		}
		s.Put(a, k, value)
		s.Put(l, k, value)
		s.Put(l, keys[0], value)
		s.Merge()
		if i%256 == 255 {
			db.Publish()
		}
	}
	b.StopTimer()
	db.Publish()
}

func BenchmarkView(b *testing.B) {
	db, _ := benchDB(b)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			db.View().Close()
		}
	})
}

func BenchmarkScan(b *testing.B) {
	db, a := benchDB(b)
	v := db.View()
	defer v.Close()
	b.ReportAllocs()
	rows := 0
	for b.Loop() {
		it := v.Scan(a, nil, nil, false)
		for it.Next() {
			rows++
		}
		if err := it.Err(); err != nil {
			b.Fatal(err)
		}
		it.Close()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(rows), "ns/row")
}

// BenchmarkFlush writes 2,000 rows to random places among 100,000, synced.
func BenchmarkFlush(b *testing.B) {
	db, a := benchDB(b)
	tx, value := db.Begin(), make([]byte, 32)
	flush(b, db)
	b.ReportAllocs()
	n := uint64(0)
	for b.Loop() {
		for range 2000 {
			tx.Put(a, benchKey(n%100_000), value)
			n += 7919
		}
		flush(b, db)
	}
}

// BenchmarkCommit is what one commit of one event costs, in batches of 256
// on 256 streams: a scratch with one row read and written.
func BenchmarkCommit(b *testing.B) {
	db := openTest(b)
	tx, a, value := db.Begin(), db.Table("alpha"), make([]byte, 32)
	keys := make([][]byte, 256)
	for i := range keys {
		keys[i] = benchKey(uint64(i))
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		s := tx.Scratch()
		k := keys[i%len(keys)]
		if _, err := s.Get(a, k); err != nil {
			b.Fatal(err)
		}
		s.Put(a, k, value)
		s.Merge()
		if i%len(keys) == len(keys)-1 {
			db.Publish()
		}
	}
	b.StopTimer()
	db.Publish()
}
