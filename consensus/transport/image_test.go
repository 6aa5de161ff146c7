package transport

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"time"
)

func TestImageComesWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	content := bytes.Repeat([]byte("state "), 200_000)
	broken := errors.New("the disk")
	for name, test := range map[string]struct {
		image   io.Reader
		refused error
		whole   bool
	}{
		"whole":             {image: bytes.NewReader(content), whole: true},
		"sender ends early": {image: bytes.NewReader(content[:300_000])},
		"sender's error":    {image: io.MultiReader(bytes.NewReader(content[:300_000]), errorReader{broken})},
		"refused":           {refused: broken},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			giver := openPort(t, Config{Image: func() (io.ReadCloser, int64, error) {
				return io.NopCloser(test.image), int64(len(content)), test.refused
			}})
			taker := openPort(t, Config{})
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			var got bytes.Buffer
			err := taker.FetchImage(ctx, "", giver.Addr().String(), &got)
			if test.whole != (err == nil) {
				t.Fatalf("got %v", err)
			}
			if test.whole && !bytes.Equal(got.Bytes(), content) {
				t.Errorf("got %d bytes", got.Len())
			}
			if test.refused != nil && !errors.Is(err, ErrNoImage) {
				t.Errorf("got %v, want ErrNoImage", err)
			}
		})
	}
}

type errorReader struct{ err error }

func (r errorReader) Read([]byte) (int, error) { return 0, r.err }
