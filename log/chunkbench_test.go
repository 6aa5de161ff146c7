package log

import "testing"

func BenchmarkDecodeChunk(b *testing.B) {
	var key, value []byte
	w := chunkWriter{put: func(k, v []byte) error { key, value = k, append([]byte(nil), v...); return nil }}
	n := newNode(0)
	for value == nil {
		r := benchRecords(n, 1)[0]
		if err := w.add(&r); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(int64(len(value)))
	var c chunk
	for b.Loop() {
		if err := decodeChunk(&c, key, value); err != nil {
			b.Fatal(err)
		}
	}
}
