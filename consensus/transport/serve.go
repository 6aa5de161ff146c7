package transport

import (
	"bufio"
	"net"
	"sync"
)

const (
	// Requests of one connection that are not answered, and their bytes: its reader
	// waits then, and with it the peer. One request may exceed the bytes.
	maxServing      = 4096
	maxServingBytes = 64 << 20
)

// Handler answers a request. It must not block; reply is called once, from any
// goroutine. Requests of one connection are handed to it in the order they came in.
// The payload is the handler's.
type Handler func(kind byte, payload []byte, reply func([]byte))

// serveFrames answers the requests of a connection until it ends.
func serveFrames(conn net.Conn, handle Handler) error {
	a := &answers{conn: conn}
	a.changed.L = &a.mu
	var writing sync.WaitGroup
	writing.Go(a.run)
	err := a.read(handle)
	a.end()
	writing.Wait()
	return err
}

// answers holds the requests of one connection that are not answered, and writes
// together the answers that are ready together.
type answers struct {
	conn net.Conn

	mu      sync.Mutex
	changed sync.Cond
	open    int // requests without an answer
	bytes   int // of their payloads
	ready   []frame
	ended   bool
}

func (a *answers) read(handle Handler) error {
	r := bufio.NewReaderSize(a.conn, readBufferBytes)
	for {
		f, err := readFrame(r)
		if err != nil {
			return err
		}
		if !a.admit(len(f.payload)) {
			return net.ErrClosed
		}
		size := len(f.payload)
		handle(f.kind, f.payload, func(payload []byte) { a.add(frame{id: f.id, payload: payload}, size) })
	}
}

// admit waits for room for a request; false when the connection has ended.
func (a *answers) admit(size int) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for !a.ended && a.open > 0 && (a.open >= maxServing || a.bytes+size > maxServingBytes) {
		a.changed.Wait()
	}
	a.open++
	a.bytes += size
	return !a.ended
}

// add queues the answer to a request of this size; after the connection's end it goes
// nowhere.
func (a *answers) add(f frame, size int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.open--
	a.bytes -= size
	if !a.ended {
		a.ready = append(a.ready, f)
	}
	a.changed.Broadcast()
}

// end closes the connection, which ends its reader and its writer.
func (a *answers) end() {
	_ = a.conn.Close()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ended, a.ready = true, nil
	a.changed.Broadcast()
}

func (a *answers) run() {
	w := frameWriter{conn: a.conn}
	for {
		a.mu.Lock()
		for len(a.ready) == 0 && !a.ended {
			a.changed.Wait()
		}
		ready, ended := a.ready, a.ended
		a.ready = nil
		a.mu.Unlock()
		if ended {
			return
		}
		if _, err := w.write(ready); err != nil {
			a.end()
			return
		}
	}
}
