package raftlog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math/rand/v2"
	"testing"

	"github.com/hashicorp/raft-wal/types"
)

// segmentBytes builds a segment file as raft-wal writes it: whole batches of entries
// of these sizes, and the offset where each batch ends.
func buildSegment(info types.SegmentInfo, batches [][]int, fill func(index uint64, size int) []byte) (b []byte, ends []int) {
	b = binary.LittleEndian.AppendUint64(nil, walMagic)
	b = binary.LittleEndian.AppendUint64(b, info.BaseIndex)
	b = binary.LittleEndian.AppendUint64(b, info.ID)
	b = binary.LittleEndian.AppendUint64(b, info.Codec)
	index, start := info.BaseIndex, 0
	for _, sizes := range batches {
		for place, size := range sizes {
			l := entry(index, 0)
			l.Data = fill(index, size)
			record := appendRecord(nil, l, uint32(place))
			b = append(b, frameEntry, 0, 0, 0)
			b = binary.LittleEndian.AppendUint32(b, uint32(len(record)))
			b = append(b, record...)
			index++
		}
		sum := crc32.Checksum(b[start:], castagnoli)
		b = append(b, frameCommit, 0, 0, 0)
		b = binary.LittleEndian.AppendUint32(b, sum)
		start = len(b)
		ends = append(ends, start)
	}
	size := max(int(info.SizeLimit), len(b))
	return append(b, make([]byte, size-len(b))...), ends
}

func noise(index uint64, size int) []byte { return entry(index, size).Data }

func zeros(_ uint64, size int) []byte { return make([]byte, size) }

var testSegment = types.SegmentInfo{ID: 3, BaseIndex: 10, MinIndex: 10, Codec: codecID, SizeLimit: 16 << 10}

// inspect is what recovery does with a tail segment.
func inspect(b []byte, info types.SegmentInfo) (last uint64, torn bool, err error) {
	s, err := scanSegment("segment", b, info)
	if err == nil && s.rest {
		err = judgeRest("segment", b, info, &s)
	}
	return s.last(info), s.rest, err
}

func TestEveryFlippedBitOfATailIsNoticedOrHarmless(t *testing.T) {
	t.Parallel()
	for name, batches := range map[string][][]int{
		"small batches":     {{100, 30}, {0}, {60, 61, 62}, {200}},
		"one batch":         {{100, 700, 30}},
		"large last batch":  {{10}, {1500, 3000, 10}},
		"single last entry": {{300}, {1}},
		"sector boundaries": {{416}, {432, 440}, {448, 456}, {464, 472}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, ends := buildSegment(testSegment, batches, noise)
			want, torn, err := inspect(b, testSegment)
			if err != nil || torn {
				t.Fatalf("undamaged: torn %v, %v", torn, err)
			}
			noticed := 0
			for bit := range min(len(b), ends[len(ends)-1]+2*sectorBytes) * 8 {
				b[bit/8] ^= 1 << (bit % 8)
				last, _, err := inspect(b, testSegment)
				var corrupt *CorruptError
				switch {
				case errors.As(err, &corrupt):
					noticed++
					if corrupt.File != "segment" || corrupt.Offset > int64(bit/8) {
						t.Fatalf("bit %d of byte %d: named %v", bit%8, bit/8, corrupt)
					}
				case err != nil || last != want:
					t.Fatalf("bit %d of byte %d: last %d, %v, want last %d or ErrCorrupt", bit%8, bit/8, last, err, want)
				}
				b[bit/8] ^= 1 << (bit % 8)
			}
			if noticed < ends[len(ends)-1]*8 {
				t.Fatalf("noticed %d of %d bits that are in use", noticed, ends[len(ends)-1]*8)
			}
		})
	}
}

// A torn batch is one of which any sectors are missing; the sector in which the batch
// before it ends is written or not as a whole.
func TestEveryTornLastBatchIsDropped(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(1, 2))
	for round := range 2000 {
		fill := noise
		if round%4 == 0 {
			fill = zeros
		}
		var batches [][]int
		for range rnd.IntN(4) + 1 {
			var sizes []int
			for range rnd.IntN(5) + 1 {
				sizes = append(sizes, rnd.IntN(900))
			}
			batches = append(batches, sizes)
		}
		b, ends := buildSegment(testSegment, batches, fill)
		begin, end := 0, ends[len(ends)-1]
		var before uint64
		if len(ends) > 1 {
			begin = ends[len(ends)-2]
			before, _, _ = inspect(append(bytes.Clone(b[:begin]), make([]byte, len(b)-begin)...), testSegment)
		}
		whole, _, _ := inspect(b, testSegment)
		lost := 0
		for sector := begin &^ (sectorBytes - 1); sector < end; sector += sectorBytes {
			if rnd.IntN(3) == 0 {
				from, to := max(sector, begin), min(sector+sectorBytes, end)
				if !allZero(b[from:to]) {
					lost++
				}
				clear(b[from:to])
			}
		}
		want := before
		if lost == 0 {
			want = whole
		}
		if last, _, err := inspect(b, testSegment); err != nil || last != want {
			t.Fatalf("round %d, %d sectors lost of [%d, %d): got last %d, %v, want %d", round, lost, begin, end, last, err, want)
		}
	}
}

func TestDamageBeforeTheLastBatchIsNeverTakenForATear(t *testing.T) {
	t.Parallel()
	batches := [][]int{{1200, 100}, {700, 800, 90}, {1000}, {300, 1400}}
	b, ends := buildSegment(testSegment, batches, noise)
	undamaged := bytes.Clone(b)
	rnd := rand.New(rand.NewPCG(3, 4))
	for round := range 3000 {
		copy(b, undamaged)
		from := rnd.IntN(ends[len(ends)-2])
		to := min(from+1+rnd.IntN(1500), ends[len(ends)-2])
		what := rnd.IntN(3)
		for i := from; i < to; i++ {
			switch what {
			case 0:
				b[i] = 0
			case 1:
				b[i] = byte(rnd.Uint32())
			case 2:
				b[i] = undamaged[rnd.IntN(ends[len(ends)-1])]
			}
		}
		if bytes.Equal(b, undamaged) {
			continue
		}
		if last, torn, err := inspect(b, testSegment); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("round %d, [%d, %d) of batches that end at %v: got last %d, torn %v, %v, want ErrCorrupt",
				round, from, to, ends, last, torn, err)
		}
	}
}

func FuzzScanSegment(f *testing.F) {
	b, _ := buildSegment(testSegment, [][]int{{100, 30}, {0}}, noise)
	f.Add(b[:1024])
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, _, err := inspect(b, testSegment); err != nil && !errors.Is(err, ErrCorrupt) {
			t.Fatalf("got %v, want ErrCorrupt", err)
		}
	})
}
