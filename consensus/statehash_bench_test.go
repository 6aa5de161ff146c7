package consensus

import (
	"fmt"
	"testing"
)

// BenchmarkStateHash measures what the state's hash costs an event: an entry's
// begin and end, with the bytes that so many appends leave for it.
func BenchmarkStateHash(b *testing.B) {
	for _, events := range []int{1, 16, 78, 250} {
		b.Run(fmt.Sprintf("events=%d", events), func(b *testing.B) {
			c, err := OpenCore(b.TempDir(), CoreConfig{})
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = c.Close() }()
			entry := newLoad(b, c, 64).batch(b, events)
			if _, err := c.Apply(2, 1, entry); err != nil {
				b.Fatal(err)
			}
			index := uint64(2)
			b.ReportAllocs()
			b.ResetTimer()
			for done := 0; done < b.N; done += events {
				index++
				c.beginHash()
				c.endHash(index, 1)
			}
		})
	}
}
