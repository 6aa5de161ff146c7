package transport

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

func TestSilenceEndsACallButNotTheTimeBetweenCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		closed := 0
		c := &calledConn{Conn: near, idle: 10 * time.Second, closed: func() { closed++ }}
		b := make([]byte, 16)
		for range 3 {
			go func() {
				time.Sleep(time.Hour) // between calls
				_, _ = far.Write([]byte("call"))
				time.Sleep(9 * time.Second) // within one
				_, _ = far.Write([]byte("rest"))
				_, _ = io.ReadFull(far, make([]byte, 6))
			}()
			for range 2 {
				if n, err := c.Read(b); n != 4 || err != nil {
					t.Fatalf("got %d, %v", n, err)
				}
			}
			time.Sleep(time.Minute) // raft is busy
			if _, err := c.Write([]byte("answer")); err != nil {
				t.Fatal(err)
			}
		}
		go func() { _, _ = far.Write([]byte("call")) }()
		if _, err := c.Read(b); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if _, err := c.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != 10*time.Second {
			t.Fatalf("got %v after %v", err, time.Since(began))
		}
		// For good: neither an answer nor another read.
		if _, err := c.Write([]byte("answer")); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("write: got %v", err)
		}
		if _, err := c.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("read: got %v", err)
		}
		if _, err := far.Write([]byte("more")); !errors.Is(err, io.ErrClosedPipe) {
			t.Fatalf("peer: got %v", err)
		}
		_, _ = c.Close(), c.Close()
		if closed != 1 {
			t.Fatalf("closed %d times", closed)
		}
	})
}

func TestCallHasTimeAsLongAsItsBytesFlow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer far.Close()
		c := &callingConn{Conn: near, closed: func() {}, alive: func() bool { return false }}
		defer c.Close()
		if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		go func() {
			for range 10 { // a slow line
				time.Sleep(4 * time.Second)
				_, _ = io.ReadFull(far, make([]byte, 5))
			}
			time.Sleep(rpcTimeout - time.Millisecond)
			_, _ = far.Write([]byte("answer"))
		}()
		for range 10 {
			if _, err := c.Write([]byte("bytes")); err != nil {
				t.Fatal(err)
			}
		}
		if n, err := c.Read(make([]byte, 16)); n != 6 || err != nil {
			t.Fatalf("answer: got %d, %v", n, err)
		}
		// A peer that is gone is noticed by the first write that does not end, however
		// long raft would wait for the whole call.
		if err := c.SetDeadline(time.Now().Add(10 * time.Hour)); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if _, err := c.Write([]byte("bytes")); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != rpcTimeout {
			t.Fatalf("got %v after %v", err, time.Since(began))
		}
	})
}
