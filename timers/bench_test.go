package timers_test

import (
	"fmt"
	"testing"
	"time"
)

// BenchmarkFire measures one fire of one timer while others wait.
func BenchmarkFire(b *testing.B) {
	for _, pending := range []int{10, 1_000_000} {
		b.Run(fmt.Sprintf("pending=%d", pending), func(b *testing.B) {
			now := int64(100)
			w := newTower(b, at(&now))
			var later [][]byte
			for i := range pending {
				later = append(later, bellFor(int64(time.Hour)+int64(i), "later"))
				if len(later) == 1000 || i == pending-1 {
					w.mustApply(commitOf(20, later...))
					later = later[:0]
				}
				if i%100_000 == 99_999 {
					w.flush()
				}
			}
			for b.Loop() {
				w.set(now, "now")
				w.mustFire(1000)
			}
		})
	}
}
