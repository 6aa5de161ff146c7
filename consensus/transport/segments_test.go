package transport

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// memoryFile is a segment in memory.
type memoryFile struct {
	io.Reader
	size   int64
	closed *atomic.Int32
}

func (f memoryFile) Size() int64  { return f.size }
func (f memoryFile) Close() error { f.closed.Add(1); return nil }

// segments serves content under one name.
type segments struct {
	name    Segment
	content []byte
	short   int // bytes that cannot be read
	opened  atomic.Int32
	closed  atomic.Int32
}

func (s *segments) open(want Segment) (SegmentFile, error) {
	if want != s.name {
		return nil, ErrNoSegment
	}
	s.opened.Add(1)
	return memoryFile{bytes.NewReader(s.content[:len(s.content)-s.short]), int64(len(s.content)), &s.closed}, nil
}

func newSegments(size int) *segments {
	return &segments{name: Segment{First: 7, Digest: [32]byte{1, 2}}, content: bytes.Repeat([]byte("segment "), size/8)}
}

func fetch(t *testing.T, from *Port, s Segment) ([]byte, error) {
	t.Helper()
	var b bytes.Buffer
	n, err := openPort(t, Config{}).FetchSegment(t.Context(), "n2", raft.ServerAddress(from.Addr().String()), s, &b)
	if n != int64(b.Len()) {
		t.Errorf("says %d bytes, wrote %d", n, b.Len())
	}
	return b.Bytes(), err
}

func TestASegmentIsFetched(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 8, segmentPieceBytes, 3*segmentPieceBytes + 8} {
		s := newSegments(size)
		p := openPort(t, Config{Segments: s.open})
		got, err := fetch(t, p, s.name)
		if err != nil || !bytes.Equal(got, s.content) {
			t.Fatalf("%d bytes: got %d, %v", size, len(got), err)
		}
		eventually(t, "the file is closed", func() bool { return s.closed.Load() == 1 })
	}
}

func TestASegmentThatIsNotThereIsAClearError(t *testing.T) {
	t.Parallel()
	s := newSegments(80)
	p := openPort(t, Config{Segments: s.open})
	if _, err := fetch(t, p, Segment{First: 8, Digest: s.name.Digest}); !errors.Is(err, ErrNoSegment) {
		t.Errorf("other position: got %v", err)
	}
	if _, err := fetch(t, openPort(t, Config{}), s.name); !errors.Is(err, ErrNoSegment) {
		t.Errorf("node without segments: got %v", err)
	}
	broken := openPort(t, Config{Segments: func(Segment) (SegmentFile, error) { return nil, errors.New("damaged") }})
	if _, err := fetch(t, broken, s.name); !errors.Is(err, errSegmentBroken) {
		t.Errorf("damaged: got %v", err)
	}
	s.short = 1
	if got, err := fetch(t, p, s.name); !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		t.Errorf("cannot be read to its end: got %d bytes, %v", len(got), err)
	}
	if _, err := openPort(t, Config{}).FetchSegment(t.Context(), "n2", "127.0.0.1:1", s.name, io.Discard); err == nil {
		t.Error("nobody there: got a segment")
	}
}

// Each byte that changes on the way is noticed, wherever it stands.
func TestASegmentDamagedOnItsWayIsNoticed(t *testing.T) {
	t.Parallel()
	s := newSegments(64)
	p := openPort(t, Config{Segments: s.open})
	for at := range segmentAnswerBytes + len(s.content) + 32 {
		for _, cut := range []bool{false, true} {
			conn := dialRaw(t, p)
			if _, err := conn.Write(greet(t, forSegment)); err != nil {
				t.Fatal(err)
			}
			if _, err := fetchSegment(&damagedConn{Conn: conn, at: at, cut: cut}, s.name, io.Discard); err == nil {
				t.Fatalf("byte %d changed, cut %v: nothing was noticed", at, cut)
			}
			_ = conn.Close()
		}
	}
}

// damagedConn flips a bit of the byte at an offset, or ends there.
type damagedConn struct {
	net.Conn
	at, read int
	cut      bool
}

func (c *damagedConn) Read(b []byte) (int, error) {
	if c.cut && c.read >= c.at {
		return 0, io.EOF
	}
	n, err := c.Conn.Read(b)
	if at := c.at - c.read; at >= 0 && at < n {
		if c.cut {
			n = at
		} else {
			b[at] ^= 0x10
		}
	}
	c.read += n
	return n, err
}

func TestOnlyAFewSegmentsAreSentAtOnce(t *testing.T) {
	t.Parallel()
	s := newSegments(80)
	hold := make(chan struct{})
	entered := make(chan struct{}, maxSendingSegments)
	p := openPort(t, Config{Segments: func(want Segment) (SegmentFile, error) {
		entered <- struct{}{}
		<-hold
		return s.open(want)
	}})
	results := make(chan error, maxSendingSegments)
	for range maxSendingSegments {
		go func() {
			_, err := openPort(t, Config{}).FetchSegment(t.Context(), "n2", raft.ServerAddress(p.Addr().String()), s.name, io.Discard)
			results <- err
		}()
		<-entered
	}
	if _, err := fetch(t, p, s.name); !errors.Is(err, ErrSegmentBusy) {
		t.Errorf("one more: got %v", err)
	}
	close(hold)
	for range maxSendingSegments {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	eventually(t, "there is room again", func() bool {
		_, err := fetch(t, p, s.name)
		return err == nil
	})
}

func TestASilentPeerIsGivenUp(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	address := raft.ServerAddress(l.Addr().String())
	impatient := openPort(t, Config{callIdle: 30 * time.Millisecond})
	if _, err := impatient.FetchSegment(t.Context(), "n2", address, Segment{}, io.Discard); !isTimeout(err) {
		t.Errorf("got %v, want a timeout", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errSuperseded)
	if _, err := openPort(t, Config{}).FetchSegment(ctx, "n2", address, Segment{}, io.Discard); err == nil {
		t.Error("fetched although nobody waits for it")
	}
	// Who asks and then says nothing does not keep the place of a sender.
	p := openPort(t, Config{callIdle: 30 * time.Millisecond})
	conn := dialRaw(t, p)
	if _, err := conn.Write(append(greet(t, forSegment), 1)); err != nil {
		t.Fatal(err)
	}
	wantClosed(t, conn)
}

func TestPaceIsSharedByAll(t *testing.T) {
	t.Parallel()
	p := pace{rate: 10 << 20}
	began := time.Now()
	done := make(chan error, 4)
	for range 4 {
		go func() {
			var err error
			for range 4 {
				err = errors.Join(err, p.wait(t.Context(), 64<<10))
			}
			done <- err
		}()
	}
	for range 4 {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	if took, least := time.Since(began), 15*time.Second*(64<<10)/(10<<20); took < least {
		t.Errorf("1 MiB at 10 MiB a second passed within %v, want at least %v", took, least)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	p.free = time.Now().Add(time.Hour)
	if err := p.wait(ended, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("ended: got %v", err)
	}
}
