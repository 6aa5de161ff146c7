package transport

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

type outcome struct {
	answer []byte
	err    error
}

func start(p *Port, peer raft.ServerID, kind byte, payload []byte) <-chan outcome {
	done := make(chan outcome, 2)
	p.Go(peer, kind, payload, func(answer []byte, err error) { done <- outcome{answer, err} })
	return done
}

func call(p *Port, peer raft.ServerID, kind byte, payload []byte) ([]byte, error) {
	got := <-start(p, peer, kind, payload)
	return got.answer, got.err
}

func to(p *Port) func(raft.ServerID) string {
	return func(raft.ServerID) string { return p.Addr().String() }
}

func TestRequestsAreServedInOrderAndAnsweredInAny(t *testing.T) {
	t.Parallel()
	const n = 20_000
	var next atomic.Uint64
	var mu sync.Mutex
	var held []func()
	serve := func(kind byte, payload []byte, reply func([]byte)) {
		i := binary.BigEndian.Uint64(payload)
		if got := next.Add(1) - 1; got != i || kind != byte(i) {
			t.Errorf("request %d of kind %d was served as number %d", i, kind, got)
		}
		mu.Lock()
		defer mu.Unlock()
		held = append(held, func() { reply(payload) })
		if len(held) < 100 {
			return
		}
		for len(held) > 0 { // the last first
			held[len(held)-1]()
			held = held[:len(held)-1]
		}
	}
	server := openPort(t, Config{Serve: serve})
	client := openPort(t, Config{Resolve: to(server)})
	var all sync.WaitGroup
	room := make(chan struct{}, 1000)
	for i := range uint64(n) {
		payload := binary.BigEndian.AppendUint64(nil, i)
		if i%1000 == 0 { // beside small ones some that are written from where they are
			payload = append(payload, make([]byte, copyBelow<<(i/1000%8))...)
		}
		room <- struct{}{}
		all.Add(1)
		client.Go("n1", byte(i), payload, func(answer []byte, err error) {
			defer all.Done()
			if <-room; err != nil || !bytes.Equal(answer, payload) {
				t.Errorf("request %d: %d bytes, %v", i, len(answer), err)
			}
		})
	}
	all.Wait()
}

func TestRequestThatDidNotLeaveIsToldFromOneWithoutAnswer(t *testing.T) {
	t.Parallel()
	got := make(chan struct{}, 100)
	server := openPort(t, Config{Serve: func(_ byte, payload []byte, reply func([]byte)) {
		if got <- struct{}{}; len(payload) > 0 {
			reply(payload)
		}
	}})
	var address atomic.Value
	address.Store("")
	client := openPort(t, Config{Resolve: func(raft.ServerID) string { return address.Load().(string) }})
	if _, err := call(client, "n1", 1, nil); !errors.Is(err, ErrNotSent) {
		t.Fatalf("unknown address: got %v", err)
	}
	address.Store(closedAddress(t))
	if _, err := call(client, "n1", 1, nil); !errors.Is(err, ErrNotSent) {
		t.Fatalf("nobody listens: got %v", err)
	}
	if _, err := call(client, "n1", 1, make([]byte, maxFrameBytes+1)); !errors.Is(err, ErrNotSent) {
		t.Fatalf("too large: got %v", err)
	}
	address.Store(server.Addr().String())
	unanswered := start(client, "n1", 1, nil)
	<-got
	client.mu.Lock()
	l := client.links["n1"]
	client.mu.Unlock()
	l.mu.Lock()
	conn := l.conn
	l.mu.Unlock()
	_ = conn.Close()
	if o := <-unanswered; !errors.Is(o.err, ErrNoAnswer) || errors.Is(o.err, ErrNotSent) {
		t.Fatalf("connection ended: got %v", o.err)
	}
	if answer, err := call(client, "n1", 1, []byte("again")); err != nil || string(answer) != "again" {
		t.Fatalf("after it: got %q, %v", answer, err)
	}
	<-got
	pending := start(client, "n1", 1, nil)
	<-got
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	if o := <-pending; !errors.Is(o.err, ErrNoAnswer) {
		t.Fatalf("closed: got %v", o.err)
	}
	if _, err := call(client, "n1", 1, nil); !errors.Is(err, ErrNotSent) {
		t.Fatalf("after close: got %v", err)
	}
}

func TestSilentPeerLosesItsConnection(t *testing.T) {
	t.Parallel()
	server := openPort(t, Config{Serve: func(byte, []byte, func([]byte)) {}})
	client := openPort(t, Config{Resolve: to(server), replyTimeout: 10 * time.Millisecond})
	if _, err := call(client, "n1", 1, nil); !errors.Is(err, ErrNoAnswer) {
		t.Fatalf("got %v", err)
	}
}

func TestEveryRequestIsSettledOnceWhileConnectionsBreak(t *testing.T) {
	t.Parallel()
	server := openPort(t, Config{Serve: func(_ byte, payload []byte, reply func([]byte)) { go reply(payload) }})
	client := openPort(t, Config{Resolve: to(server)})
	stop := make(chan struct{})
	var breaking sync.WaitGroup
	breaking.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(3 * time.Millisecond):
			}
			server.mu.Lock()
			for c := range server.conns {
				_ = c.Close()
			}
			server.mu.Unlock()
		}
	})
	const n = 5000
	var settled, answered atomic.Int64
	for range n {
		client.Go("n1", 1, make([]byte, 3000), func(answer []byte, err error) {
			settled.Add(1)
			switch {
			case err == nil && len(answer) == 3000:
				answered.Add(1)
			case err == nil || errors.Is(err, ErrNotSent) == errors.Is(err, ErrNoAnswer):
				t.Errorf("got %d bytes, %v", len(answer), err)
			}
		})
	}
	eventually(t, "all are settled", func() bool { return settled.Load() == n })
	close(stop)
	breaking.Wait()
	if _, err := call(client, "n1", 1, nil); err != nil && !errors.Is(err, ErrNoAnswer) {
		t.Fatal(err)
	}
	if settled.Load() != n {
		t.Fatalf("%d of %d settled", settled.Load(), n)
	}
	t.Logf("%d of %d answered", answered.Load(), n)
}

func TestWhatWaitsIsBounded(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var held []func([]byte)
	server := openPort(t, Config{Serve: func(_ byte, _ []byte, reply func([]byte)) {
		mu.Lock()
		defer mu.Unlock()
		held = append(held, reply)
	}})
	client := openPort(t, Config{Resolve: to(server)})
	serving := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(held)
	}
	var refused, answered atomic.Int64
	for range maxRequests + 10 {
		client.Go("n1", 1, nil, func(_ []byte, err error) {
			switch {
			case errors.Is(err, ErrNotSent):
				refused.Add(1)
			case err == nil:
				answered.Add(1)
			}
		})
	}
	if refused.Load() != 10 {
		t.Fatalf("%d refused, want 10", refused.Load())
	}
	eventually(t, "the server has its share", func() bool { return serving() == maxServing })
	for total := 0; total < maxRequests; {
		eventually(t, "more", func() bool { return serving() > 0 })
		mu.Lock()
		batch := held
		held = nil
		mu.Unlock()
		if len(batch) > maxServing {
			t.Fatalf("%d at once, at most %d", len(batch), maxServing)
		}
		for _, reply := range batch {
			reply(nil)
		}
		total += len(batch)
	}
	eventually(t, "all are answered", func() bool { return answered.Load() == maxRequests })
}

// shortConn takes limit bytes.
type shortConn struct {
	net.Conn
	limit int
	got   []byte
}

func (c *shortConn) SetWriteDeadline(time.Time) error { return nil }
func (c *shortConn) Write(b []byte) (int, error) {
	n := min(len(b), c.limit-len(c.got))
	c.got = append(c.got, b[:n]...)
	if n < len(b) {
		return n, io.ErrClosedPipe
	}
	return n, nil
}

func TestFramesHandedOverWholeAreCounted(t *testing.T) {
	t.Parallel()
	var frames []frame
	var ends []int
	total := 0
	for i, size := range []int{0, 5, copyBelow, 3, 2 * copyBelow, writeBatchBytes, 7, 0} {
		f := frame{id: uint64(i), kind: 1, payload: bytes.Repeat([]byte{byte(i)}, size)}
		frames = append(frames, f)
		total += f.size()
		ends = append(ends, total)
	}
	limits := []int{0, 1, total}
	for _, end := range ends {
		limits = append(limits, end-1, end, end+1)
	}
	for _, limit := range limits {
		c := &shortConn{limit: limit}
		w := frameWriter{conn: c}
		whole, err := w.write(frames)
		want := 0
		for want < len(ends) && ends[want] <= limit {
			want++
		}
		if whole != want || (err == nil) != (limit >= total) {
			t.Fatalf("limit %d: got %d, %v, want %d", limit, whole, err, want)
		}
		r := bufio.NewReader(bytes.NewReader(c.got))
		for i := range whole {
			if f, err := readFrame(r); err != nil || f.id != uint64(i) || !bytes.Equal(f.payload, frames[i].payload) {
				t.Fatalf("limit %d: frame %d is %d of %d bytes, %v", limit, i, f.id, len(f.payload), err)
			}
		}
	}
}

func FuzzReadFrame(f *testing.F) {
	f.Add(append(appendFrameHeader(nil, frame{id: 1, kind: 2, payload: []byte("abc")}), "abc"...))
	f.Add(appendFrameHeader(nil, frame{id: 1, kind: 2, payload: make([]byte, 1<<20)}))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bufio.NewReader(bytes.NewReader(b))
		var again []byte
		for {
			fr, err := readFrame(r)
			if err != nil {
				break
			}
			again = append(appendFrameHeader(again, fr), fr.payload...)
		}
		if !bytes.HasPrefix(b, again) {
			t.Fatalf("read %q of %q", again, b)
		}
	})
}

func TestFrameLengthAloneTakesNoMemory(t *testing.T) {
	// Not parallel: it measures.
	header := binary.BigEndian.AppendUint32(make([]byte, 9), maxFrameBytes)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := readFrame(bufio.NewReader(bytes.NewReader(append(header, 1, 2, 3)))); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatalf("got %v", err)
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 4*writeBatchBytes {
		t.Fatalf("%d bytes of memory for 3", got)
	}
	binary.BigEndian.PutUint32(header[9:], maxFrameBytes+1)
	if _, err := readFrame(bufio.NewReader(bytes.NewReader(header))); !errors.Is(err, errFrameTooLarge) {
		t.Fatalf("got %v", err)
	}
}

func BenchmarkForward(b *testing.B) {
	for _, size := range []int{300, 64 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			server, err := Open(Config{Listen: "127.0.0.1:0", Serve: func(_ byte, _ []byte, reply func([]byte)) { reply([]byte{0}) }})
			if err != nil {
				b.Fatal(err)
			}
			defer server.Close()
			client, err := Open(Config{Listen: "127.0.0.1:0", Resolve: to(server)})
			if err != nil {
				b.Fatal(err)
			}
			defer client.Close()
			payload := make([]byte, size)
			room := make(chan struct{}, 256)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				room <- struct{}{}
				client.Go("n1", 1, payload, func(_ []byte, err error) {
					if <-room; err != nil {
						b.Error(err)
					}
				})
			}
			for range cap(room) { // the answers of the last ones
				room <- struct{}{}
			}
		})
	}
}
