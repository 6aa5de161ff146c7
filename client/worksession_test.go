package client

import (
	"bytes"
	"testing"
)

// What is queued goes in frames that a node reads, in its order, and what is large alone.
func TestFramesOfAWorkersSessionAreBounded(t *testing.T) {
	t.Parallel()
	s := &workSession{wake: make(chan struct{}, 1), alive: true, closing: true}
	var want []byte
	for i, size := range []int{3, maxFrame - 3, 1, 3 * maxFrame, 7, maxFrame / 2, maxFrame / 2, 9} {
		part := bytes.Repeat([]byte{byte('a' + i)}, size)
		s.queue = append(s.queue, part)
		want = append(want, part...)
	}
	var got []byte
	var sizes []int
	for more := true; more; {
		var frame []byte
		var alive bool
		frame, alive, _, more = s.take(nil)
		if alive != (len(sizes) == 0) {
			t.Errorf("frame %d: alive %v", len(sizes), alive)
		}
		got = append(got, frame...)
		sizes = append(sizes, len(frame))
	}
	if !bytes.Equal(got, want) {
		t.Error("the frames are not what was queued")
	}
	for i, n := range []int{maxFrame, 1, 3 * maxFrame, 7 + maxFrame/2, maxFrame/2 + 9} {
		if i >= len(sizes) || sizes[i] != n {
			t.Fatalf("frames of %v, %d of %d", sizes, i, n)
		}
	}
	if frame, alive, closing, more := s.take(nil); len(frame) > 0 || alive || !closing || more {
		t.Error("something is left")
	}
}
