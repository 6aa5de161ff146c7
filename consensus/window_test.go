package consensus

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"github.com/edri-io/edri/event"
)

// fingerprintOf makes identities that collide in the index when few is set.
func fingerprintOf(n uint64, few bool) event.Fingerprint {
	var f event.Fingerprint
	home := rand.New(rand.NewPCG(n, 1)).Uint64()
	if few {
		home = n % 7
	}
	binary.LittleEndian.PutUint64(f.Identity[:], home)
	binary.LittleEndian.PutUint64(f.Identity[8:], n)
	binary.LittleEndian.PutUint64(f.Content[:], n)
	return f
}

func TestWindowHoldsExactlyTheLastEvents(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		size  uint64
		first uint64
		few   bool
	}{
		{1, 1, false}, {5, 1, true}, {1000, 1, true}, {5000, 4090, false},
		{300, 1<<32 - 150, false}, {300, 1<<33 - 152, true}, {9000, 1<<32 - 2, false},
	} {
		t.Run(fmt.Sprintf("%d from %d", test.size, test.first), func(t *testing.T) {
			t.Parallel()
			var w window
			w.reset(test.size, test.first)
			for p := test.first; p < test.first+2*test.size+20; p++ {
				f := fingerprintOf(p, test.few)
				if at, _ := w.find(&f.Identity); at != 0 {
					t.Fatalf("found %d at %d before it was added", p, at)
				}
				w.add(&f)
				w.trim()
				lowest := max(test.first, p-min(p, test.size)+1)
				for _, q := range []uint64{p, (p + lowest) / 2, lowest} {
					f := fingerprintOf(q, test.few)
					if at, found := w.find(&f.Identity); at != q || found.Content != f.Content {
						t.Fatalf("with %d..%d: found %d at %d", lowest, p, q, at)
					}
				}
				if lowest > test.first {
					f := fingerprintOf(lowest-1, test.few)
					if at, _ := w.find(&f.Identity); at != 0 {
						t.Fatalf("with %d..%d: still found %d", lowest, p, lowest-1)
					}
				}
			}
		})
	}
}

// The window against a map, with changes of its size.
func TestWindowAgreesWithMap(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		few := rapid.Bool().Draw(t, "collide")
		size := rapid.Uint64Range(1, 40).Draw(t, "size")
		floor := rapid.Uint64Range(1, 5000).Draw(t, "floor")
		var w window
		w.reset(size, floor)
		model := map[uint64]uint64{} // event to position
		last := floor - 1
		check := func() {
			for ; floor+size <= last; floor++ {
				for n, p := range model {
					if p == floor {
						delete(model, n)
					}
				}
			}
			if w.floor != floor || w.last != last || w.len() != uint64(len(model)) {
				t.Fatalf("window is %d..%d with %d, want %d..%d with %d", w.floor, w.last, w.len(), floor, last, len(model))
			}
			for n := range uint64(60) {
				f := fingerprintOf(n, few)
				if at, _ := w.find(&f.Identity); at != model[n] {
					t.Fatalf("event %d is at %d, want %d", n, at, model[n])
				}
			}
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			if rapid.IntRange(0, 9).Draw(t, "step") == 0 {
				size = rapid.Uint64Range(1, 40).Draw(t, "new size")
				w.setSize(size)
				check()
				continue
			}
			for range rapid.IntRange(1, 12).Draw(t, "commit") {
				n := rapid.Uint64Range(0, 59).Draw(t, "event")
				if _, ok := model[n]; ok {
					continue
				}
				f := fingerprintOf(n, few)
				w.add(&f)
				last++
				model[n] = last
			}
			w.trim()
			check()
		}
	})
}

func TestWindowTakesAtMostFortyMebibytes(t *testing.T) {
	if testing.Short() {
		t.Skip("fills a window of a million events")
	}
	t.Parallel()
	var w window
	w.reset(DefaultWindow, 1)
	for p := uint64(1); p <= 2*DefaultWindow; p++ {
		var f event.Fingerprint
		binary.LittleEndian.PutUint64(f.Identity[:], p*0x9e3779b97f4a7c15)
		w.add(&f)
		w.trim()
	}
	bytes := len(w.chunks)*chunkEvents*fingerprintBytes + 8*len(w.index)
	if w.spare != nil {
		bytes += chunkEvents * fingerprintBytes
	}
	t.Logf("%.1f MiB", float64(bytes)/(1<<20))
	if bytes > 40<<20 {
		t.Errorf("the window takes %d bytes", bytes)
	}
	w.setSize(10)
	if len(w.index) > 16*minIndex || len(w.chunks) > 2 {
		t.Errorf("a small window keeps %d slots and %d chunks", len(w.index), len(w.chunks))
	}
}

func BenchmarkWindow(b *testing.B) {
	var w window
	w.reset(DefaultWindow, 1)
	id := uint64(0)
	add := func() {
		var f event.Fingerprint
		id++
		x := id * 0x9e3779b97f4a7c15
		x ^= x >> 32
		binary.LittleEndian.PutUint64(f.Identity[:], x*0xd6e8feb86659fd93)
		if at, _ := w.find(&f.Identity); at != 0 {
			b.Fatal("found")
		}
		w.add(&f)
		w.trim()
	}
	for range DefaultWindow {
		add()
	}
	for b.Loop() {
		add()
	}
}
