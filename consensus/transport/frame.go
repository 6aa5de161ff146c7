package transport

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// A frame of a forward connection, in both directions:
//
//	offset  bytes
//	     0      8  id, which the answer repeats; big-endian
//	     8      1  kind of request, 0 in an answer
//	     9      4  length of the payload; big-endian
//	    13      n  payload
const (
	frameHeaderBytes = 13
	// Above the largest commit (4 MiB) with what surrounds it, and above what
	// one submission of a client's frame can hold.
	maxFrameBytes = 64 << 20

	// Requests of one connection that are not answered; its reader waits then.
	maxServing = 4096

	writeTimeout = 5 * time.Second
)

var errFrameTooLarge = errors.New("frame is too large")

type frame struct {
	id      uint64
	kind    byte
	payload []byte
}

// Handler answers a request. It must not block; reply is called once, from any
// goroutine.
type Handler func(kind byte, payload []byte, reply func([]byte))

func writeFrame(w *bufio.Writer, f frame) error {
	var h [frameHeaderBytes]byte
	binary.BigEndian.PutUint64(h[:], f.id)
	h[8] = f.kind
	binary.BigEndian.PutUint32(h[9:], uint32(len(f.payload)))
	if _, err := w.Write(h[:]); err != nil {
		return fmt.Errorf("write frame: %w", err)
	}
	if _, err := w.Write(f.payload); err != nil {
		return fmt.Errorf("write frame: %w", err)
	}
	return nil
}

// readFrame reads one frame, whose payload is its own memory. At the end between
// two frames it returns io.EOF.
func readFrame(r *bufio.Reader) (frame, error) {
	var h [frameHeaderBytes]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		if errors.Is(err, io.EOF) {
			return frame{}, io.EOF
		}
		return frame{}, fmt.Errorf("read frame: %w", err)
	}
	f := frame{id: binary.BigEndian.Uint64(h[:]), kind: h[8]}
	size := binary.BigEndian.Uint32(h[9:])
	if size > maxFrameBytes {
		return frame{}, fmt.Errorf("%w: %d bytes", errFrameTooLarge, size)
	}
	f.payload = make([]byte, size)
	if _, err := io.ReadFull(r, f.payload); err != nil {
		return frame{}, fmt.Errorf("read frame's payload: %w", err)
	}
	return f, nil
}

// serveFrames answers the requests of a connection until it ends. Requests are
// handed to the handler in the order they came in.
func serveFrames(conn net.Conn, handle Handler, stop <-chan struct{}) error {
	answers := newAnswers(conn)
	var writing sync.WaitGroup
	writing.Add(1)
	go func() {
		defer writing.Done()
		answers.run()
	}()
	err := readRequests(conn, handle, answers, stop)
	answers.end()
	_ = conn.Close()
	writing.Wait()
	return err
}

func readRequests(conn net.Conn, handle Handler, answers *answers, stop <-chan struct{}) error {
	r := bufio.NewReaderSize(conn, 64<<10)
	for {
		f, err := readFrame(r)
		if err != nil {
			return err
		}
		select {
		case answers.places <- struct{}{}:
		case <-answers.ended:
			return net.ErrClosed
		case <-stop:
			return net.ErrClosed
		}
		handle(f.kind, f.payload, func(payload []byte) { answers.add(frame{id: f.id, payload: payload}) })
	}
}

// answers writes the answers of one connection, together what is ready together.
type answers struct {
	conn   net.Conn
	places chan struct{} // one token per request that is not answered
	wake   chan struct{} // capacity 1
	ended  chan struct{}
	once   sync.Once

	mu    sync.Mutex
	ready []frame
}

func newAnswers(conn net.Conn) *answers {
	return &answers{conn: conn, places: make(chan struct{}, maxServing), wake: make(chan struct{}, 1), ended: make(chan struct{})}
}

func (a *answers) end() { a.once.Do(func() { close(a.ended) }) }

// add queues an answer; after the connection's end it goes nowhere.
func (a *answers) add(f frame) {
	a.mu.Lock()
	a.ready = append(a.ready, f)
	a.mu.Unlock()
	select {
	case a.wake <- struct{}{}:
	default:
	}
	<-a.places
}

func (a *answers) run() {
	w := bufio.NewWriterSize(a.conn, 64<<10)
	for {
		select {
		case <-a.wake:
		case <-a.ended:
			return
		}
		a.mu.Lock()
		ready := a.ready
		a.ready = nil
		a.mu.Unlock()
		if err := writeFrames(a.conn, w, ready); err != nil {
			a.end()
			_ = a.conn.Close() // which ends the reader
			return
		}
	}
}

func writeFrames(conn net.Conn, w *bufio.Writer, frames []frame) error {
	if err := conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return fmt.Errorf("set deadline: %w", err)
	}
	for _, f := range frames {
		if err := writeFrame(w, f); err != nil {
			return err
		}
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("write frames: %w", err)
	}
	return nil
}
