package log

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/store"
)

// scrubAll scrubs every sealed segment and returns what it met.
func scrubAll(t *testing.T, j *Journal, pace store.Pace) (found []error) {
	t.Helper()
	for _, s := range j.Segments() {
		if !s.Sealed {
			continue
		}
		if err := j.Scrub(context.Background(), s.First, pace); err != nil {
			found = append(found, err)
		}
	}
	return found
}

// What a scrub passes over, a bit in a page that nothing uses, no reader sees.
func TestScrubFindsEveryFlipThatAReaderCouldMeet(t *testing.T) {
	t.Parallel()
	p := newPlay(t)
	if err := p.live(nil, 20, 50, 85); err != nil {
		t.Fatal(err)
	}
	j := mustOpen(t, p.dir, p.mark(85), p.cfg)
	if found := scrubAll(t, j, nil); found != nil {
		t.Fatalf("intact segments: %v", found)
	}
	rng := rand.New(rand.NewPCG(3, 4))
	found, flips := 0, 0
	for _, s := range j.Segments() {
		if !s.Sealed {
			continue
		}
		path := filepath.Join(p.dir, segmentName(s.First))
		intact, used := readUsed(t, path)
		file, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		for range 120 {
			at := int64(used[rng.IntN(len(used))]*pageBytes + rng.IntN(pageBytes))
			flipped := []byte{intact[at] ^ 1<<rng.IntN(8)}
			if _, err := file.WriteAt(flipped, at); err != nil {
				t.Fatal(err)
			}
			flips++
			err := j.Scrub(context.Background(), s.First, nil)
			switch {
			case err == nil:
				if got := mustCollect(t, j, Query{}); len(got) != 85 {
					t.Fatalf("the scrub passed over a flip at %d, and %d records are read", at, len(got))
				}
			case !errors.Is(err, store.ErrCorrupt) || !strings.Contains(err.Error(), segmentName(s.First)):
				t.Fatalf("got %v, want ErrCorrupt with the file's name", err)
			default:
				found++
			}
			if _, err := file.WriteAt(intact[at:at+1], at); err != nil {
				t.Fatal(err)
			}
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if found < flips/10 {
		t.Errorf("only %d of %d flips were found", found, flips)
	}
}

func TestScrubFindsATruncatedAndAMissingSegment(t *testing.T) {
	t.Parallel()
	p := newPlay(t)
	if err := p.live(nil, 85); err != nil {
		t.Fatal(err)
	}
	j := mustOpen(t, p.dir, p.mark(85), p.cfg)
	first := j.Segments()[0].First
	path := filepath.Join(p.dir, segmentName(first))
	if err := os.Truncate(path, 3*pageBytes); err != nil {
		t.Fatal(err)
	}
	if err := j.Scrub(context.Background(), first, nil); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("truncated: got %v, want ErrCorrupt", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := j.Scrub(context.Background(), first, nil); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("missing: got %v, want ErrCorrupt", err)
	}
	if err := j.Scrub(context.Background(), 2, nil); event.CodeOf(err) != event.CodeNotFound {
		t.Errorf("a position within a segment: got %v, want not_found", err)
	}
}

func TestScrubKeepsToItsPaceAndEndsWithIt(t *testing.T) {
	t.Parallel()
	p := newPlay(t)
	if err := p.live(nil, 85); err != nil {
		t.Fatal(err)
	}
	j := mustOpen(t, p.dir, p.mark(85), p.cfg)
	bytes := 0
	if found := scrubAll(t, j, func(_ context.Context, n int) error { bytes += n; return nil }); found != nil {
		t.Fatal(found)
	}
	if bytes < 10*pageBytes {
		t.Errorf("the pace was asked for %d bytes", bytes)
	}
	enough := errors.New("enough")
	for _, err := range scrubAll(t, j, func(context.Context, int) error { return enough }) {
		if !errors.Is(err, enough) || errors.Is(err, store.ErrIO) || errors.Is(err, store.ErrCorrupt) {
			t.Errorf("got %v, want the error of the pace alone", err)
		}
	}
}
