package pace

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"
)

func TestPaceKeepsToTheRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		p := New(t.Context(), 1000, nil)
		for range 2 { // reading and writing count together
			if _, err := io.CopyBuffer(io.Discard, struct{ io.Reader }{p.Reader(bytes.NewReader(make([]byte, 2500)))}, make([]byte, 100)); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took < 4800*time.Millisecond || took > 5*time.Second {
			t.Errorf("5,000 bytes took %v, want about 5 s", took)
		}
		// What was not used for a while is not caught up with.
		time.Sleep(time.Minute)
		began = time.Now()
		w := p.Writer(io.Discard)
		for range 10 {
			if _, err := w.Write(make([]byte, 100)); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took < 800*time.Millisecond {
			t.Errorf("1,000 bytes after a pause took %v", took)
		}
	})
}

func TestPaceWithoutRateWaitsForNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		if err := New(t.Context(), 0, nil).Wait(1 << 40); err != nil || time.Since(began) != 0 {
			t.Errorf("waited %v, %v", time.Since(began), err)
		}
	})
}

func TestPaceEnds(t *testing.T) {
	t.Parallel()
	stop := errors.New("stop")
	if err := New(t.Context(), 1, func() error { return stop }).Wait(1); !errors.Is(err, stop) {
		t.Errorf("check: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	p := New(ctx, 1, nil)
	if err := p.Wait(1000); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := p.Wait(1000); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end: %v", err)
	}
}
