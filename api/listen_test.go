package api

import (
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// oneConn is a listener that has one connection.
type oneConn struct {
	conns chan net.Conn
	done  chan struct{}
}

func (l *oneConn) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *oneConn) Close() error   { close(l.done); return nil }
func (l *oneConn) Addr() net.Addr { return &net.TCPAddr{} }

// opening is what an HTTP/2 client writes first: settings, that it has the server's, and
// the fields of a POST of "/" to "m" in stream 1. A frame begins with its length, type,
// flags and stream.
const opening = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" +
	"\x00\x00\x00\x04\x00\x00\x00\x00\x00" +
	"\x00\x00\x00\x04\x01\x00\x00\x00\x00" +
	"\x00\x00\x06\x01\x04\x00\x00\x00\x01\x83\x86\x84\x41\x01m"

// A peer that says nothing any more, not even to a ping, loses its stream in time: a
// member of a subscription could be given events for as long.
func TestAPeerThatIsGoneWithoutAWordIsNoticed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan struct{})
		server := NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			close(ended)
		}))
		ours, theirs := net.Pipe()
		l := &oneConn{conns: make(chan net.Conn, 1), done: make(chan struct{})}
		l.conns <- theirs
		served := make(chan error, 1)
		go func() { served <- server.Serve(l) }()
		go func() { // reads, and does not answer
			_, _ = io.Copy(io.Discard, ours)
		}()
		began := time.Now()
		if _, err := io.WriteString(ours, opening); err != nil {
			t.Fatal(err)
		}
		<-ended
		if after := time.Since(began); after > 11*time.Second { // docs/delivery.md says 10 s
			t.Errorf("the stream ended after %v", after)
		}
		_ = ours.Close()
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
}
